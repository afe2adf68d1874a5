//! What a command of a template may call without naming it: every script of the template, and what a tool reads by custom.

use super::unsuffixed;
use crate::template::Template;
use crate::tree::Entry;

/// A tool: the words that call it, the files that steer it, and the ends of the files that those may run.
struct Tool {
    words: &'static [&'static str],
    files: &'static [&'static str],
    ends: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool { words: &["make", "gmake"], files: &["Makefile", "makefile", "GNUmakefile"], ends: &["mk"] },
    Tool { words: &["just"], files: &["justfile", "Justfile", ".justfile"], ends: &["just"] },
    Tool {
        words: &["task", "go-task"],
        files: &["Taskfile.yml", "Taskfile.yaml", "taskfile.yml", "taskfile.yaml"],
        ends: &[],
    },
    Tool {
        words: &["npm", "npx", "yarn", "pnpm", "bun", "bunx", "node", "deno", "corepack"],
        files: &["package.json", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "deno.json"],
        ends: &["js", "cjs", "mjs", "ts", "cts", "mts"],
    },
    Tool { words: &["composer", "php", "artisan"], files: &["composer.json", "artisan"], ends: &["php", "phar"] },
    Tool {
        words: &[
            "python", "python3", "pip", "pip3", "pipx", "uv", "uvx", "poetry", "pdm", "hatch", "tox", "nox", "invoke",
            "inv", "pytest",
        ],
        files: &["pyproject.toml", "setup.cfg", "tox.ini", "uv.toml", "pytest.ini"],
        ends: &["py", "pth"],
    },
    Tool { words: &["pre-commit", "prek"], files: &[".pre-commit-config.yaml"], ends: &[] },
    Tool {
        words: &["ruby", "rake", "bundle", "bundler", "gem"],
        files: &["Rakefile", "Gemfile"],
        ends: &["rb", "rake", "gemspec"],
    },
    Tool { words: &["cargo"], files: &["Cargo.toml", "config.toml"], ends: &["rs"] },
    Tool { words: &["go"], files: &["go.mod"], ends: &["go"] },
    Tool { words: &["perl"], files: &["Makefile.PL", "Build.PL"], ends: &["pl", "pm"] },
    Tool { words: &["mvn", "mvnw"], files: &["pom.xml", "extensions.xml"], ends: &[] },
    Tool { words: &["gradle", "gradlew"], files: &["gradle.properties"], ends: &["gradle", "kts"] },
    Tool { words: &["cmake", "ninja"], files: &["CMakeLists.txt", "build.ninja"], ends: &["cmake"] },
    Tool {
        words: &["docker", "docker-compose", "podman"],
        files: &["Dockerfile", "Containerfile", "compose.yaml", "compose.yml", "docker-compose.yml"],
        ends: &[],
    },
];

/// The ends of files that any shell command may run.
const SHELL: &[&str] = &["sh", "bash", "zsh", "fish", "ps1"];

/// What a command may call: scripts, whatever it is; and for each tool in it what that tool reads. A command whose words
/// are only known when it is rendered may call every tool.
pub fn called<'t>(template: &'t Template, command: &str) -> Vec<(&'t str, &'t Entry)> {
    let syntax = &template.rules.syntax;
    let any = command.contains(&syntax.variable.0) || command.contains(&syntax.block.0);
    let words: Vec<&str> = command
        .split(|c: char| c.is_whitespace() || "\"'`;|&<>()=$".contains(c))
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .collect();
    let tools: Vec<&Tool> =
        TOOLS.iter().filter(|tool| any || words.iter().any(|word| tool.words.contains(word))).collect();
    let may = |path: &str, entry: &Entry| {
        let name = unsuffixed(template, path.rsplit('/').next().unwrap_or(path));
        // A name that is itself a template has its end, or holds what it may become.
        let templated = path.contains(&syntax.variable.0) || path.contains(&syntax.block.0);
        let ends = |ends: &[&str]| name.rsplit_once('.').is_some_and(|(_, end)| ends.contains(&end));
        let is = |file: &str| name == file || (templated && path.contains(file));
        entry.executable()
            || entry.contents().is_some_and(|contents| contents.bytes().starts_with(b"#!"))
            || ends(SHELL)
            || tools.iter().any(|tool| ends(tool.ends) || tool.files.iter().any(|file| is(file)))
    };
    template
        .source
        .iter()
        .map(|(path, entry)| (path.as_str(), entry))
        .filter(|(path, entry)| may(path, entry))
        .collect()
}
