//! What a Jinja text uses, without rendering it: variables, where, and whether it minds that they are missing.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{self, Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;

/// The variable that holds a Cookiecutter template's answers.
pub const COOKIECUTTER: &str = "cookiecutter";

/// A variable that a text uses and does not set itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Its name; of `cookiecutter.name`, `name`; of `cookiecutter` as a whole, that.
    pub name: String,
    /// Whether it is an answer in `cookiecutter`.
    pub nested: bool,
    /// From 1.
    pub line: usize,
    /// Whether the text asks if it is defined, or has something else in its place.
    pub guarded: bool,
}

/// What stands in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The variables that it uses.
    pub uses: Vec<Use>,
    /// The files that it includes or imports by a fixed name.
    pub includes: Vec<Include>,
    /// Texts that it compares variables with: what the variable may well be.
    pub compared: Vec<(String, String)>,
}

/// A file that a text includes or imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Its name, as it is written.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// Whether it must be there.
    pub needed: bool,
}

/// Why a text is no Jinja.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Parses a text. `yield` in it, which only Copier knows, is a loop.
pub fn read(text: &str, syntax: &SyntaxConfig) -> Result<Parsed, Mistake> {
    let text = crate::template::engine::readable(&without_yield(text), syntax);
    let tree = parse(&text, "", syntax.clone()).map_err(|error| Mistake {
        line: error.line().unwrap_or(1),
        message: match error.detail() {
            Some(detail) => crate::text::neutral_line(&format!("{}: {detail}", error.kind()), 200),
            None => error.kind().to_string(),
        },
    })?;
    let mut reader = Reader { scopes: vec![Scope::default()], out: Parsed::default() };
    reader.statement(&tree);
    Ok(reader.out)
}

/// The variables that `yield`s of a name set.
pub fn yielded(text: &str) -> Vec<String> {
    yields().captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str().to_owned())).collect()
}

fn yields() -> &'static regex::Regex {
    static YIELD: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
        regex::Regex::new(r"\{%-?\s*yield\s+(\w+)\s+from\s+(.*?)\s*-?%\}").expect("a fixed pattern")
    });
    &YIELD
}

fn without_yield(text: &str) -> std::borrow::Cow<'_, str> {
    static END: std::sync::LazyLock<regex::Regex> =
        std::sync::LazyLock::new(|| regex::Regex::new(r"\{%-?\s*endyield\s*-?%\}").expect("a fixed pattern"));
    if !text.contains("yield") {
        return text.into();
    }
    let begun = yields().replace_all(text, "{% for $1 in $2 %}");
    END.replace_all(&begun, "{% endfor %}").into_owned().into()
}

/// Names that are known in a part of a text.
#[derive(Default)]
struct Scope {
    set: BTreeSet<String>,
    /// Those that the text asked for first: it may use them, and they are still uses.
    asked: BTreeSet<String>,
}

struct Reader {
    scopes: Vec<Scope>,
    out: Parsed,
}

impl Reader {
    fn inside(&mut self, scope: Scope, body: impl FnOnce(&mut Self)) {
        self.scopes.push(scope);
        body(self);
        self.scopes.pop();
    }

    fn set(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(name) => {
                if let Some(scope) = self.scopes.last_mut() {
                    scope.set.insert(name.id.to_owned());
                }
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.set(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.set(item)),
            // `namespace` objects: what is set is a part of what is there already.
            other => self.expression(other, false),
        }
    }

    fn set_name(&mut self, name: &str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.set.insert(name.to_owned());
        }
    }

    fn used(&mut self, name: &str, nested: bool, line: u16, guarded: bool) {
        if !nested && self.scopes.iter().any(|scope| scope.set.contains(name)) {
            return;
        }
        let guarded = guarded || self.scopes.iter().any(|scope| scope.asked.contains(name));
        self.out.uses.push(Use { name: name.to_owned(), nested, line: line.into(), guarded });
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr, false),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => {}
            Stmt::ForLoop(each) => {
                self.expression(&each.iter, false);
                self.inside(Scope::default(), |inner| {
                    inner.set_name("loop");
                    inner.set(&each.target);
                    each.filter_expr.iter().for_each(|filter| inner.expression(filter, false));
                    inner.statements(&each.body);
                });
                self.inside(Scope::default(), |inner| inner.statements(&each.else_body));
            }
            Stmt::IfCond(cond) => {
                self.expression(&cond.expr, false);
                // What is set in a branch is known after it; what was asked for is known in it.
                let asked = asked(&cond.expr);
                self.scopes.insert(self.scopes.len() - 1, Scope { asked, ..Scope::default() });
                self.statements(&cond.true_body);
                self.statements(&cond.false_body);
                self.scopes.remove(self.scopes.len() - 2);
            }
            Stmt::WithBlock(with) => self.inside(Scope::default(), |inner| {
                for (target, value) in &with.assignments {
                    inner.expression(value, false);
                    inner.set(target);
                }
                inner.statements(&with.body);
            }),
            Stmt::Set(set) => {
                self.expression(&set.expr, false);
                self.set(&set.target);
            }
            Stmt::SetBlock(set) => {
                self.inside(Scope::default(), |inner| inner.statements(&set.body));
                set.filter.iter().for_each(|filter| self.expression(filter, false));
                self.set(&set.target);
            }
            Stmt::AutoEscape(escape) => {
                self.expression(&escape.enabled, false);
                self.statements(&escape.body);
            }
            Stmt::FilterBlock(filter) => {
                self.expression(&filter.filter, false);
                self.statements(&filter.body);
            }
            Stmt::Block(block) => self.inside(Scope::default(), |inner| inner.statements(&block.body)),
            Stmt::Import(import) => {
                self.include(&import.expr, true);
                self.set(&import.name);
            }
            Stmt::FromImport(import) => {
                self.include(&import.expr, true);
                for (name, alias) in &import.names {
                    self.set(alias.as_ref().unwrap_or(name));
                }
            }
            Stmt::Extends(extends) => self.include(&extends.name, true),
            Stmt::Include(include) => self.include(&include.name, !include.ignore_missing),
            Stmt::Macro(one) => self.define(one),
            Stmt::CallBlock(call) => {
                self.call(&call.call);
                self.define(&call.macro_decl);
            }
            Stmt::Do(one) => self.call(&one.call),
        }
    }

    fn define(&mut self, one: &ast::Macro<'_>) {
        self.set_name(one.name);
        one.defaults.iter().for_each(|default| self.expression(default, false));
        self.inside(Scope::default(), |inner| {
            for name in ["caller", "varargs", "kwargs"] {
                inner.set_name(name);
            }
            one.args.iter().for_each(|argument| inner.set(argument));
            inner.statements(&one.body);
        });
    }

    fn include(&mut self, name: &Expr<'_>, needed: bool) {
        let line = name.span().start_line.into();
        let Some(value) = name.as_const() else { return self.expression(name, false) };
        if let Some(name) = value.as_str() {
            self.out.includes.push(Include { name: name.to_owned(), line, needed });
        } else {
            // Of a list, the first that is there.
            let names = value.try_iter().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned));
            self.out.includes.extend(names.map(|name| Include { name, line, needed: false }));
        }
    }

    /// Remembers the text that a variable is compared with.
    fn compared(&mut self, one: &Expr<'_>, other: &Expr<'_>) {
        let Some(name) = variable(one) else { return };
        let value = other.as_const();
        let text = value.as_ref().and_then(minijinja::Value::as_str);
        self.out.compared.extend(text.map(|text| (name.to_owned(), text.to_owned())));
    }

    /// Remembers the texts of a list that a variable may be in. What may be in a text is no answer.
    fn compared_in(&mut self, one: &Expr<'_>, list: &Expr<'_>) {
        let (Some(name), Some(values)) = (variable(one), list.as_const()) else { return };
        if values.as_str().is_none() {
            let texts = values.try_iter().into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned));
            self.out.compared.extend(texts.map(|text| (name.to_owned(), text)));
        }
    }

    fn call(&mut self, call: &ast::Call<'_>) {
        self.expression(&call.expr, false);
        self.arguments(&call.args);
    }

    fn arguments(&mut self, arguments: &[ast::CallArg<'_>]) {
        for argument in arguments {
            let (ast::CallArg::Pos(expression)
            | ast::CallArg::Kwarg(_, expression)
            | ast::CallArg::PosSplat(expression)
            | ast::CallArg::KwargSplat(expression)) = argument;
            self.expression(expression, false);
        }
    }

    fn expression(&mut self, expression: &Expr<'_>, guarded: bool) {
        match expression {
            Expr::Var(name) => self.used(name.id, false, name.span().start_line, guarded),
            Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expression(&slice.expr, guarded);
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.expression(bound, false);
                }
            }
            Expr::UnaryOp(one) => self.expression(&one.expr, guarded),
            Expr::BinOp(two) => {
                match two.op {
                    ast::BinOpKind::Eq | ast::BinOpKind::Ne => {
                        self.compared(&two.left, &two.right);
                        self.compared(&two.right, &two.left);
                    }
                    ast::BinOpKind::In => self.compared_in(&two.left, &two.right),
                    _ => {}
                }
                self.expression(&two.left, guarded);
                let asked = match two.op {
                    ast::BinOpKind::ScAnd | ast::BinOpKind::ScOr => asked(&two.left),
                    _ => BTreeSet::new(),
                };
                self.inside(Scope { asked, ..Scope::default() }, |inner| inner.expression(&two.right, guarded));
            }
            Expr::Compare(compare) => {
                match compare.ops.as_slice() {
                    [op] if matches!(op.op, ast::CompareOpKind::Eq | ast::CompareOpKind::Ne) => {
                        self.compared(&compare.expr, &op.expr);
                        self.compared(&op.expr, &compare.expr);
                    }
                    [op] if matches!(op.op, ast::CompareOpKind::In | ast::CompareOpKind::NotIn) => {
                        self.compared_in(&compare.expr, &op.expr);
                    }
                    _ => {}
                }
                self.expression(&compare.expr, guarded);
                compare.ops.iter().for_each(|op| self.expression(&op.expr, guarded));
            }
            Expr::IfExpr(cond) => {
                self.expression(&cond.test_expr, false);
                self.inside(Scope { asked: asked(&cond.test_expr), ..Scope::default() }, |inner| {
                    inner.expression(&cond.true_expr, guarded);
                    cond.false_expr.iter().for_each(|other| inner.expression(other, guarded));
                });
            }
            Expr::Filter(filter) => {
                let guarded = guarded || matches!(filter.name, "default" | "d");
                filter.expr.iter().for_each(|inner| self.expression(inner, guarded));
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.expression(&test.expr, guarded || matches!(test.name, "defined" | "undefined"));
                self.arguments(&test.args);
            }
            Expr::GetAttr(get) => match &get.expr {
                Expr::Var(root) if root.id == COOKIECUTTER => {
                    self.used(get.name, true, get.span().start_line, guarded);
                }
                inner => self.expression(inner, guarded),
            },
            Expr::GetItem(get) => {
                let key = get.subscript_expr.as_const();
                match (&get.expr, key.as_ref().and_then(minijinja::Value::as_str)) {
                    (Expr::Var(root), Some(name)) if root.id == COOKIECUTTER => {
                        self.used(name, true, get.span().start_line, guarded);
                    }
                    (inner, _) => self.expression(inner, guarded),
                }
                self.expression(&get.subscript_expr, false);
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => list.items.iter().for_each(|item| self.expression(item, false)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expression(item, false)),
            Expr::Map(map) => map.keys.iter().chain(&map.values).for_each(|item| self.expression(item, false)),
        }
    }
}

/// The variable that an expression is, in `cookiecutter` or by itself.
fn variable<'e>(expression: &Expr<'e>) -> Option<&'e str> {
    match expression {
        Expr::Var(name) => Some(name.id),
        Expr::GetAttr(get) if matches!(&get.expr, Expr::Var(root) if root.id == COOKIECUTTER) => Some(get.name),
        _ => None,
    }
}

/// The variables that a condition asks for: `x is defined`.
fn asked(condition: &Expr<'_>) -> BTreeSet<String> {
    match condition {
        Expr::Test(test) if matches!(test.name, "defined" | "undefined") => match &test.expr {
            Expr::Var(name) => BTreeSet::from([name.id.to_owned()]),
            Expr::GetAttr(get) if matches!(&get.expr, Expr::Var(root) if root.id == COOKIECUTTER) => {
                BTreeSet::from([get.name.to_owned()])
            }
            _ => BTreeSet::new(),
        },
        Expr::UnaryOp(one) => asked(&one.expr),
        Expr::BinOp(two) if matches!(two.op, ast::BinOpKind::ScAnd | ast::BinOpKind::ScOr) => {
            let mut names = asked(&two.left);
            names.extend(asked(&two.right));
            names
        }
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests;
