//! Strict JSON for foreign bytes: one pass, one small borrowed tree.
//!
//! Trusts nothing. A member that appears twice is refused at every level:
//! which of two a parser takes is how one party comes to verify what another
//! does not read (RFC 7519 §4 leaves the choice; RFC 8725 §2.4 warns of it).
//! Nesting is bounded by `serde_json` at 128 levels, size by the callers.
//! Integers stay apart from other numbers, so that no time is ever rounded.

use std::borrow::Cow;
use std::{fmt, mem};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

use crate::peer_text::PeerText;

/// UTF-8 of U+FEFF, which Windows' editors begin a text with.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Why bytes are not the JSON object that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not JSON (RFC 8259), nested too deeply, or a member appears twice.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// Not UTF-8, which all JSON between strangers is (RFC 8259 §8.1).
    #[error("not UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    /// JSON, but of another type.
    #[error("not a JSON object")]
    NotAnObject,
    /// Windows' mark at the beginning of a text, which RFC 8259 §8.1 forbids
    /// in JSON between strangers.
    #[error("it begins with a byte order mark (U+FEFF), which JSON has none of")]
    ByteOrderMark,
}

/// A JSON value that borrows its text from the input where it can.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// A number written without fraction, exponent or sign, below 2^64.
    Integer(u64),
    /// Any other number; nothing here has a use for its value.
    OtherNumber,
    String(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Object<'a>),
}

/// The members of a JSON object, in their order; no name appears twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Parses `bytes`, which must be one JSON object and nothing else.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        Self::read(bytes, Reader { repeats: false })
    }

    /// The same, with members that appear twice left in: for who refuses a
    /// part of a document for it and not the whole. See [`Json::repeated`].
    pub(crate) fn parse_with_repeats(bytes: &'a [u8]) -> Result<Self, JsonError> {
        Self::read(bytes, Reader { repeats: true })
    }

    fn read(bytes: &'a [u8], reader: Reader) -> Result<Self, JsonError> {
        if bytes.starts_with(BYTE_ORDER_MARK) {
            return Err(JsonError::ByteOrderMark);
        }
        // The encoding is checked once for all, not string by string.
        let text = std::str::from_utf8(bytes)?;
        let mut text = serde_json::Deserializer::from_str(text);
        let json = reader.deserialize(&mut text)?;
        text.end()?;
        match json {
            Json::Object(object) => Ok(object),
            Json::Null
            | Json::Bool(_)
            | Json::Integer(_)
            | Json::OtherNumber
            | Json::String(_)
            | Json::Array(_) => Err(JsonError::NotAnObject),
        }
    }

    /// The value of the member called exactly `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0
            .iter()
            .find_map(|(member, value)| (member == name).then_some(value))
    }

    /// Every member, in the order of the text.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// A member of this object that appears twice in it.
    pub(crate) fn repeated(&self) -> Option<&str> {
        repeated(&self.0)
    }

    /// The same, moved out; `null` stays behind.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        self.0
            .iter_mut()
            .find_map(|(member, value)| (member == name).then(|| mem::replace(value, Json::Null)))
    }
}

impl Json<'_> {
    /// A member that appears twice in an object, here or further in.
    // Recursion is bounded: the parser bounds how deep values nest.
    pub(crate) fn repeated(&self) -> Option<&str> {
        match self {
            Self::Object(object) => object
                .repeated()
                .or_else(|| object.0.iter().find_map(|(_, value)| value.repeated())),
            Self::Array(items) => items.iter().find_map(Self::repeated),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::OtherNumber | Self::String(_) => {
                None
            }
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::OtherNumber
            | Self::Array(_)
            | Self::Object(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reader { repeats: false }.deserialize(deserializer)
    }
}

/// Reads a value of any type.
#[derive(Clone, Copy)]
struct Reader {
    /// Whether a member may appear twice.
    repeats: bool,
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut object = Vec::with_capacity(8);
        while let Some(Name(name)) = members.next_key()? {
            object.push((name, members.next_value_seed(self)?));
        }
        match repeated(&object).filter(|_| !self.repeats) {
            Some(name) => Err(A::Error::custom(format_args!(
                "member `{}` appears twice",
                PeerText::new(name)
            ))),
            None => Ok(Json::Object(Object(object))),
        }
    }
}

/// Members above which names are sorted instead of compared pair by pair, so
/// that an object of thousands of members costs no more than reading it.
const FEW: usize = 16;

/// A name that appears more than once.
fn repeated<'o>(members: &'o [(Cow<'_, str>, Json<'_>)]) -> Option<&'o str> {
    let mut names = members.iter().map(|(name, _)| name.as_ref());
    if members.len() <= FEW {
        while let Some(name) = names.next() {
            if names.clone().any(|later| later == name) {
                return Some(name);
            }
        }
        return None;
    }
    let mut sorted: Vec<&str> = names.collect();
    sorted.sort_unstable();
    sorted
        .array_windows()
        .find_map(|[one, next]| (one == next).then_some(*one))
}

/// A member's name. `Cow`'s own `Deserialize` never borrows; this one does.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::{Json, Object};

    fn error(text: &str) -> String {
        Object::parse(text.as_bytes()).unwrap_err().to_string()
    }

    fn member<'a>(object: &Object<'a>, name: &str) -> Json<'a> {
        object.get(name).unwrap().clone()
    }

    #[test]
    fn numbers_keep_what_they_are() {
        let object = Object::parse(
            br#"{"a":0,"b":18446744073709551615,"c":18446744073709551616,"d":1.0,"e":1e3,"f":-1,"g":-0}"#,
        )
        .unwrap();
        assert_eq!(member(&object, "a"), Json::Integer(0));
        assert_eq!(member(&object, "b"), Json::Integer(u64::MAX));
        for name in ["c", "d", "e", "f", "g"] {
            assert_eq!(member(&object, name), Json::OtherNumber, "{name}");
        }
    }

    #[test]
    fn text_is_borrowed_unless_it_holds_an_escape() {
        let object = Object::parse(br#"{"plain":"x","esc\u0061ped":"\n"}"#).unwrap();
        assert!(matches!(
            member(&object, "plain"),
            Json::String(Cow::Borrowed("x"))
        ));
        assert!(
            matches!(member(&object, "escaped"), Json::String(Cow::Owned(text)) if text == "\n")
        );
    }

    #[test]
    fn names_are_compared_exactly() {
        let object = Object::parse(br#"{"Exp":1,"exp":2}"#).unwrap();
        assert_eq!(member(&object, "exp"), Json::Integer(2));
        assert_eq!(object.get("EXP"), None);
    }

    #[test]
    fn a_member_may_appear_once() {
        assert!(Object::parse(br#"{"a":{"b":1},"b":2}"#).is_ok());
        assert_eq!(
            error(r#"{"a":1,"a":1}"#),
            "member `a` appears twice at line 1 column 13"
        );
        assert_eq!(
            error(r#"{"a":1,"\u0061":2}"#),
            "member `a` appears twice at line 1 column 18"
        );
        assert_eq!(
            error(r#"{"x":[{"a":1,"a":2}]}"#),
            "member `a` appears twice at line 1 column 19"
        );
    }

    #[test]
    fn a_member_may_appear_once_among_many() {
        for count in [16, 17, 5_000] {
            let members: Vec<String> = (0..count).map(|i| format!("\"m{i}\":0")).collect();
            assert!(Object::parse(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
            let text = format!("{{{},\"m7\":1}}", members.join(","));
            assert!(
                error(&text).starts_with("member `m7` appears twice"),
                "{count}"
            );
        }
    }

    #[test]
    fn only_one_object_will_do() {
        assert!(Object::parse(b" {} ").is_ok());
        assert_eq!(error("[]"), "not a JSON object");
        assert_eq!(error("null"), "not a JSON object");
        assert_eq!(error("{}{}"), "trailing characters at line 1 column 3");
        assert_eq!(error(""), "EOF while parsing a value at line 1 column 0");
        let error = Object::parse(b"{\"a\":\"\xff\"}").unwrap_err();
        assert_eq!(error.to_string(), "not UTF-8");
        assert!(Object::parse(br#"{"a":"\ud800"}"#).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Object::parse(nested(126).as_bytes()).is_ok());
        assert_eq!(
            error(&nested(127)),
            "recursion limit exceeded at line 1 column 132"
        );
        assert!(Object::parse(nested(100_000).as_bytes()).is_err());
    }

    /// Whether the tree says of a document what `serde_json` says of it.
    fn agrees(ours: &Json<'_>, theirs: &Value) -> bool {
        match (ours, theirs) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(a), Value::Bool(b)) => a == b,
            (Json::Integer(a), Value::Number(b)) => b.as_u64() == Some(*a),
            (Json::OtherNumber, Value::Number(b)) => b.as_u64().is_none(),
            (Json::String(a), Value::String(b)) => a == b,
            (Json::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agrees(a, b))
            }
            (Json::Object(a), Value::Object(b)) => {
                a.0.len() == b.len()
                    && b.iter()
                        .all(|(k, v)| a.get(k).is_some_and(|o| agrees(o, v)))
            }
            _ => false,
        }
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 24, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..24)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(document in documents()) {
            let text = serde_json::to_string(&document).unwrap();
            let ours: Json<'_> = serde_json::from_str(&text).unwrap();
            prop_assert!(agrees(&ours, &document), "{text}");
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(object) = Object::parse(&bytes) {
                let theirs: Value = serde_json::from_slice(&bytes).unwrap();
                prop_assert!(agrees(&Json::Object(object), &theirs));
            }
        }

        #[test]
        fn text_close_to_json_ends_in_an_answer(text in r#"[{}\[\]:,"a-c0-9eE.+\\-]{0,48}"#) {
            if let Ok(object) = Object::parse(text.as_bytes()) {
                let theirs: Value = serde_json::from_str(&text).unwrap();
                prop_assert!(agrees(&Json::Object(object), &theirs));
            }
        }
    }
}
