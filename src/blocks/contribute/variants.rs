//! Other answers than the project's: what a change of a template must leave as it is.

use serde_json::json;

use crate::catalog::matrix;
use crate::template::question::{Choices, Kind, Question, Values};
use crate::template::{Answers, Value};

/// The most answer sets that a change is held against.
const MOST: usize = 48;
/// The most answers to one question that are tried.
const ANSWERS: usize = 5;

/// Answer sets to try, the project's apart: every pair of two questions' answers is in one of them, up to a limit.
pub fn of(questions: &[Question], mine: &Answers) -> Vec<(String, Values)> {
    let known = mine.all();
    let asked: Vec<(&Question, Vec<Value>)> =
        questions.iter().map(|question| (question, answers(question, known.get(question.id.as_str())))).collect();
    let sizes: Vec<usize> = asked.iter().map(|(_, answers)| answers.len()).collect();
    let rows = matrix::pairs(&sizes).into_iter().filter(|row| row.iter().any(|index| *index > 0));
    let set = |row: matrix::Row| {
        let mut values = known.clone();
        let mut label = Vec::new();
        for ((question, answers), index) in asked.iter().zip(row) {
            let Some(value) = answers.get(index) else { continue };
            if index > 0 {
                label.push(format!("{}={}", question.id, shown(value)));
            }
            values.insert(question.id.as_str().to_owned(), value.clone());
        }
        (label.join(" "), values)
    };
    rows.take(MOST).map(set).collect()
}

/// The answers to a question that are tried, the project's first.
fn answers(question: &Question, mine: Option<&Value>) -> Vec<Value> {
    let first = mine.or(question.default.as_ref()).cloned().unwrap_or(Value::Null);
    let others: Vec<Value> = match &question.choices {
        Choices::Listed(choices) if question.multiselect => {
            let all: Value = choices.iter().map(|choice| choice.value.clone()).collect();
            vec![json!([]), all]
        }
        Choices::Listed(choices) => {
            choices.iter().filter(|choice| choice.disabled.is_none()).map(|choice| choice.value.clone()).collect()
        }
        Choices::Computed(_) => Vec::new(),
        Choices::Any => match question.kind {
            Kind::Bool => vec![json!(true), json!(false)],
            Kind::Int => vec![first.as_i64().map_or(json!(7), |number| json!(number.saturating_add(1)))],
            Kind::Float => vec![first.as_f64().map_or(json!(0.5), |number| json!(number + 1.0))],
            Kind::Str | Kind::Path => vec![json!("other"), json!("")],
            Kind::Json | Kind::Yaml => Vec::new(),
        },
    };
    let mut answers = vec![first];
    for other in others {
        if !answers.contains(&other) && answers.len() < ANSWERS {
            answers.push(other);
        }
    }
    answers
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    crate::text::neutral_line(&text, 40)
}
