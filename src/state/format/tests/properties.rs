//! Files of every format, grown at random around their images.

use super::*;

/// A scalar as one of the styles has it.
fn styled(style: usize, text: &str) -> String {
    match style {
        0 => text.to_owned(),
        1 => format!("'{text}'"),
        _ => format!("\"{text}\""),
    }
}

proptest::proptest! {
    /// Files of every format, grown at random around their images: the difference is the one digest.
    #[test]
    fn every_other_byte_stays(
        words in proptest::collection::vec("[a-zA-Zäß€ ]{0,8}", 3), gap in "( |\t){0,3}", blank in "(\n|# x ü\n){0,3}",
        style in 0_usize..3, count in 1_usize..5, which in 0_usize..5, crlf: bool, kind in 0_usize..5,
    ) {
        let (comment, which) = (&words[0], which % count);
        let (mut text, format) = match kind {
            0 => ("services:\n".to_owned(), compose()),
            1 => ("images:\n".to_owned(), kustomize()),
            2 => (String::new(), helm()),
            3 => (String::new(), kubernetes("")),
            _ => (String::new(), hiera()),
        };
        for i in 0..count {
            let whole = styled(style, &image(&i.to_string()).to_string());
            let part = styled(style, digest(&i.to_string()).as_str());
            text.push_str(&match kind {
                0 => format!("{blank}  s{i}:{gap}\n    labels: {{x: '{comment}'}}\n    image: {whole}{gap} #{comment}\n{blank}"),
                1 => format!("{blank}- name: s{i} #{comment}\n  newName: r.test/apps/shop\n{blank}  digest: {part}\n"),
                2 => format!("s{i}: #{comment}\n  image:\n{blank}    repository: r.test/apps/shop\n    digest: {part}{gap} # x\n"),
                3 => format!("---\n{blank}kind: Pod\nspec:\n  containers:\n  - name: s{i}\n{blank}    image: {whole}{gap}\n"),
                _ => format!("{blank}profile::shop::s{i}::image: {whole} #{comment}\nother{i}: \"{comment}\"\n"),
            });
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let service = format!("s{which}");
        let new = edit(&format, &text, &[&service]).unwrap();
        let expected = text.replace(digest(&which.to_string()).as_str(), digest("new").as_str());
        proptest::prop_assert_eq!(&new, &expected);
        let changed = text.lines().zip(new.lines()).filter(|(a, b)| a != b).count();
        proptest::prop_assert_eq!((changed, text.lines().count()), (1, new.lines().count()));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z{}\\[\\]:&*<>|\"'!%\\-#? \n\t]{0,60}", kind in 0_usize..5) {
        let format = [compose(), kustomize(), helm(), kubernetes(""), hiera()][kind].clone();
        let _ = read(&format, &text);
        let _ = edit(&format, &format!("services:\n web: {text}\nimages: [{text}]\nspec:\n containers: {text}"), &["web"]);
    }
}
