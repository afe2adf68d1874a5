//! Blocks found by words: in names, descriptions, owners, questions and READMEs, slips of the finger forgiven.

use serde::Serialize;

/// What is searched of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// One line on what it gives.
    pub description: String,
    /// Its owner and trusted committers.
    pub people: String,
    /// The names of its questions, and what they ask.
    pub questions: String,
    /// Its README.
    pub readme: String,
}

/// A block that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// Its name.
    pub name: String,
    /// How well it answers: more is better.
    pub score: u32,
    /// Where the words were found: `name`, `readme`.
    pub found_in: Vec<&'static str>,
}

/// The blocks in which every word is found somewhere, the best first.
pub fn search(documents: &[Document], query: &str) -> Vec<Hit> {
    let words = words(query);
    let mut hits: Vec<Hit> = documents.iter().filter_map(|document| document.hit(&words)).collect();
    hits.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
    hits
}

impl Document {
    /// Its parts, with the weight of what is found there.
    fn fields(&self) -> [(&'static str, u32, &str); 5] {
        [
            ("name", 10, &self.name),
            ("description", 5, &self.description),
            ("people", 3, &self.people),
            ("questions", 3, &self.questions),
            ("readme", 1, &self.readme),
        ]
    }

    fn hit(&self, query: &[String]) -> Option<Hit> {
        let fields = self.fields().map(|(label, weight, text)| (label, weight, words(text)));
        let mut hit = Hit { name: self.name.clone(), score: 0, found_in: Vec::new() };
        for word in query {
            let mut best = 0;
            for (label, weight, text) in &fields {
                let quality = text.iter().map(|candidate| likeness(word, candidate)).max().unwrap_or(0);
                if quality > 0 && !hit.found_in.contains(label) {
                    hit.found_in.push(label);
                }
                best = best.max(quality * weight);
                // What is said in several places is meant more.
                hit.score += quality * weight / 10;
            }
            if best == 0 {
                return None;
            }
            hit.score += best;
        }
        (!query.is_empty()).then_some(hit)
    }
}

/// Lower-case words of letters and digits.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric() && c != '.');
    let mut words: Vec<String> =
        parts.map(|word| word.trim_matches('.').to_lowercase()).filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// How well a word of the text is the one that was typed, from 0 to 10.
fn likeness(typed: &str, word: &str) -> u32 {
    if typed == word {
        return 10;
    }
    let length = typed.chars().count();
    if length >= 2 && word.starts_with(typed) {
        return 8;
    }
    if length >= 3 && word.contains(typed) {
        return 6;
    }
    let slips = match length {
        0..4 => return 0,
        4..8 => 1,
        _ => 2,
    };
    // Words of very different length are not slips of each other; the distance need not be computed.
    let apart = length.abs_diff(word.chars().count());
    if apart <= slips && strsim::osa_distance(typed, word) <= slips { 5 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Vec<Document> {
        let document = |name: &str, description: &str, questions: &str, readme: &str| Document {
            name: name.into(),
            description: description.into(),
            people: "platform@acme.test @ana".into(),
            questions: questions.into(),
            readme: readme.into(),
        };
        vec![
            document("php-web", "A PHP application behind Apache", "php database", "Uses a cache where there is one."),
            document("cache", "Redis, and a client for PHP", "memory Megabytes", "# cache"),
            document("mail", "Mails by SMTP", "sender", "Postfix"),
        ]
    }

    fn found(query: &str) -> Vec<String> {
        search(&documents(), query).into_iter().map(|hit| hit.name).collect()
    }

    #[test]
    fn names_come_before_descriptions_before_readmes() {
        assert_eq!(found("cache"), ["cache", "php-web"]);
        assert_eq!(found("php"), ["php-web", "cache"]);
        assert_eq!(found("@ana mail"), ["mail"]);
        assert_eq!(found("megabytes"), ["cache"]);
    }

    #[test]
    fn slips_and_beginnings_are_understood_and_every_word_counts() {
        assert_eq!(found("aplication"), ["php-web"]);
        assert_eq!(found("postfx"), ["mail"]);
        assert_eq!(found("appl"), ["php-web"]);
        assert_eq!(found("php redis"), ["cache"]);
        assert!(found("php kubernetes").is_empty());
        assert!(found("").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn a_block_is_found_by_its_own_words(text in "[a-z]{4,9}( [a-z]{4,9}){0,5}", nth in 0_usize..6) {
            let documents = [Document { name: "x".into(), readme: text.clone(), ..Document::default() }];
            let words: Vec<&str> = text.split(' ').collect();
            proptest::prop_assert_eq!(search(&documents, words[nth % words.len()]).len(), 1);
        }

        #[test]
        fn no_query_makes_it_panic(query in ".{0,60}") {
            let _ = search(&documents(), &query);
        }
    }
}
