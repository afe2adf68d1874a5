//! What a value becomes under a mask: the same for the same value, so that joins hold; nothing that tells what it was to who
//! has not the key.

use crate::project::seed::{Kind, Mask};

/// Where invented mail addresses are: kept free by RFC 2606 and RFC 6761.
const DOMAINS: [&str; 2] = ["@example.com", "@x.test"];
/// How many letters the part before it has, where there is room: 80 bits, so that no two values meet.
const LOCAL: usize = 16;
/// The largest values of the integers that databases have. A number stays within those that it was within.
const INTEGERS: [u128; 10] = [
    127,
    255,
    32_767,
    65_535,
    8_388_607,
    16_777_215,
    2_147_483_647,
    4_294_967_295,
    9_223_372_036_854_775_807,
    18_446_744_073_709_551_615,
];
/// The longest number that is permuted as one; ten to this power is a number of ours.
const DIGITS: usize = 38;
/// How often the halves of a number are mixed, as FF1 (NIST SP 800-38G) does.
const ROUNDS: u8 = 10;

/// The key of a project's masks.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskKey([u8; 32]);

impl std::fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKey")
    }
}

impl MaskKey {
    /// With these bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// What a value becomes; none is NULL. `width` is how many characters its column has room for, where that is known.
    pub fn mask(&self, mask: &Mask, value: &[u8], width: Option<usize>) -> Option<String> {
        let kind = match mask {
            Mask::Fixed(fixed) => return Some(fixed.fixed.clone()),
            Mask::Kind(Kind::Null) => return None,
            Mask::Kind(kind) => kind,
        };
        let text = String::from_utf8_lossy(value);
        let room = width.unwrap_or_else(|| text.chars().count());
        let invented = match kind {
            _ if text.is_empty() => String::new(),
            Kind::Email => self.email(value, room),
            Kind::Name => self.name(&text, room),
            Kind::Text => self.text(&text),
            Kind::Phone => self.number(&text).unwrap_or_else(|| self.figures(&text, true)),
            Kind::Digits => self.number(&text).unwrap_or_else(|| self.figures(&text, false)),
            Kind::Null => unreachable!("it was nothing"),
        };
        Some(invented)
    }

    fn stream(&self, what: &str, value: &[u8]) -> Letters {
        let mut hash = blake3::Hasher::new_keyed(&self.0);
        hash.update(what.as_bytes()).update(&[0]).update(value);
        Letters(hash.finalize_xof())
    }

    fn email(&self, value: &[u8], room: usize) -> String {
        let mut letters = self.stream("email", value);
        let domain = DOMAINS.into_iter().find(|domain| domain.len() + 6 <= room).unwrap_or("");
        let local = LOCAL.min(room - domain.len());
        format!("{}{domain}", (0..local).map(|_| letters.lower()).collect::<String>())
    }

    fn name(&self, text: &str, room: usize) -> String {
        let mut letters = self.stream("name", text.as_bytes());
        let mut word = || {
            let mut word = String::new();
            for _ in 0..3 {
                word.extend([letters.of(b"bdfgklmnprstvz"), letters.of(b"aeiou")]);
            }
            word[..1].to_uppercase() + &word[1..]
        };
        let name = if text.trim().contains(char::is_whitespace) { format!("{} {}", word(), word()) } else { word() };
        name.chars().take(room).collect()
    }

    fn text(&self, text: &str) -> String {
        let mut letters = self.stream("text", text.as_bytes());
        text.chars().map(|c| if c.is_whitespace() && c.is_ascii() { c } else { letters.lower() }).collect()
    }

    /// A number as databases write it becomes another one of as many digits that fits wherever it did; no two become the
    /// same. None of what is written otherwise.
    fn number(&self, text: &str) -> Option<String> {
        let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(whole, fraction)| (whole, Some(fraction)));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !fraction.is_none_or(plain) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        if whole.len() > DIGITS {
            return None;
        }
        let value: u128 = whole.parse().ok()?;
        let mut low = if whole.len() == 1 { 0 } else { 10_u128.pow(u32::try_from(whole.len()).ok()? - 1) };
        let mut high = 10_u128.pow(u32::try_from(whole.len()).ok()?) - 1;
        // One more of the negative ones fits.
        for most in INTEGERS.map(|most| most + u128::from(!sign.is_empty())) {
            if (low..high).contains(&most) {
                (low, high) = if value <= most { (low, most) } else { (most + 1, high) };
            }
        }
        let mut digits = whole.to_owned();
        // A permutation stays one on a part of what it permutes, if it is gone through until it is back in there.
        loop {
            digits = self.permuted(&digits);
            if digits.parse().is_ok_and(|value: u128| (low..=high).contains(&value)) {
                break;
            }
        }
        let fraction = fraction.map(|fraction| format!(".{}", self.run(fraction))).unwrap_or_default();
        Some(format!("{sign}{digits}{fraction}"))
    }

    /// Figures in a text: digits become digits, letters become letters, and what is between them stays.
    fn figures(&self, text: &str, keep_zeros: bool) -> String {
        let all: String = text.chars().filter(char::is_ascii_digit).collect();
        let zeros = if keep_zeros { all.len() - all.trim_start_matches('0').len() } else { 0 };
        let mut digits = all[..zeros].to_owned() + &self.run(&all[zeros..]);
        digits = digits.chars().rev().collect();
        let mut letters = self.stream("figures", text.as_bytes());
        let one = |c: char| match c {
            _ if c.is_ascii_digit() => digits.pop().unwrap_or('0'),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            _ => letters.lower(),
        };
        text.chars().map(one).collect()
    }

    /// A run of digits of any length.
    fn run(&self, digits: &str) -> String {
        let chunks = digits.as_bytes().chunks(DIGITS);
        chunks.map(|chunk| self.permuted(&String::from_utf8_lossy(chunk))).collect()
    }

    /// A permutation of all runs of so many digits.
    fn permuted(&self, digits: &str) -> String {
        let (left, right) = digits.split_at(digits.len() / 2);
        let (mut left, mut right) = (left.to_owned(), right.to_owned());
        if left.is_empty() {
            // One digit has no halves: its permutation is shuffled.
            let mut all: Vec<char> = ('0'..='9').collect();
            let mut stream = self.stream("digit", &[]);
            for at in (1..all.len()).rev() {
                let other = stream.number() % (at as u128 + 1);
                all.swap(at, usize::try_from(other).unwrap_or(0));
            }
            return right.parse().map(|digit: usize| all[digit].to_string()).unwrap_or_default();
        }
        for round in 0..ROUNDS {
            let width = left.len();
            let modulus = 10_u128.pow(u32::try_from(width).unwrap_or(0));
            let mut mixed = self.stream("digits", format!("{} {round} {right}", digits.len()).as_bytes());
            let sum = (left.parse::<u128>().unwrap_or(0) + mixed.number() % modulus) % modulus;
            left = std::mem::replace(&mut right, format!("{sum:0width$}"));
        }
        left + &right
    }
}

/// Letters and numbers of a keyed stream.
struct Letters(blake3::OutputReader);

impl Letters {
    fn lower(&mut self) -> char {
        // 32 of them, so that each comes as often as the others.
        self.of(b"abcdefghijklmnopqrstuvwxyzabcdef")
    }

    fn of(&mut self, from: &[u8]) -> char {
        let mut byte = [0];
        self.0.fill(&mut byte);
        from[usize::from(byte[0]) % from.len()].into()
    }

    fn number(&mut self) -> u128 {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key() -> MaskKey {
        MaskKey::new([7; 32])
    }

    fn masked(kind: Kind, value: &str, width: Option<usize>) -> String {
        key().mask(&Mask::Kind(kind), value.as_bytes(), width).unwrap()
    }

    #[test]
    fn a_mask_is_what_it_is_called() {
        let email = masked(Kind::Email, "ann@acme.test", Some(255));
        assert!(email.len() == 28 && email.ends_with("@example.com"), "{email}");
        assert_eq!(email, masked(Kind::Email, "ann@acme.test", Some(100)));
        assert!(masked(Kind::Email, "a@b.test", None).len() <= 8);
        let name = masked(Kind::Name, "Ada Lovelace", Some(100));
        assert!(name.split(' ').count() == 2 && name.chars().filter(|c| c.is_uppercase()).count() == 2, "{name}");
        let phone = masked(Kind::Phone, "+49 (0176) 123-45", None);
        let shape: String = phone.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "+99 (9999) 999-99");
        let text = masked(Kind::Text, "Größe 5 😀\nx", None);
        assert_eq!(text.chars().count(), 11);
        assert!(text.is_ascii() && text.contains('\n'), "{text}");
        assert_eq!(key().mask(&Mask::Kind(Kind::Null), b"x", None), None);
        for kind in [Kind::Email, Kind::Name, Kind::Phone, Kind::Text, Kind::Digits] {
            assert_eq!(masked(kind, "", Some(9)), "");
        }
    }

    #[test]
    fn numbers_stay_numbers_of_their_size_and_no_two_become_one() {
        for all in [0..10_u64, 10..100, 100..1000, 1000..10_000] {
            let masks: BTreeSet<String> = all.clone().map(|n| masked(Kind::Digits, &n.to_string(), None)).collect();
            assert_eq!(masks, all.map(|n| n.to_string()).collect::<BTreeSet<String>>());
        }
        for most in INTEGERS {
            let value: u128 = masked(Kind::Digits, &most.to_string(), None).parse().unwrap();
            assert!(value <= most, "{value} > {most}");
        }
        let price = masked(Kind::Digits, "-123.45", None);
        assert!(price.starts_with('-') && price.len() == 7 && price.as_bytes()[4] == b'.', "{price}");
        let other = MaskKey::new([8; 32]).mask(&Mask::Kind(Kind::Digits), b"123456789", None);
        assert_ne!(other, Some(masked(Kind::Digits, "123456789", None)), "the key decides");
    }

    proptest::proptest! {
        #[test]
        fn a_mask_has_room_where_its_value_had(value in "\\PC{1,60}") {
            for kind in [Kind::Email, Kind::Name, Kind::Phone, Kind::Text, Kind::Digits] {
                let masked = masked(kind, &value, None);
                proptest::prop_assert!(masked.chars().count() <= value.chars().count(), "{kind:?} {masked}");
            }
        }
    }
}
