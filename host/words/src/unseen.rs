//! Characters that nobody sees: in a name they make another name of it, and in
//! a line they change how what stands beside them is shown.

/// Whether `character` shows nothing itself, or turns round what stands beside it:
/// Unicode's `Default_Ignorable_Code_Point`, and the marks of annotations. Control
/// characters and blanks are other matters.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::is_unseen;

    #[test]
    fn overrides_marks_and_fillers_are_unseen() {
        let unseen = "\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\
                      \u{2060}\u{3164}\u{fe0f}\u{feff}\u{fff9}\u{e0041}";
        let seen: Vec<_> = unseen.chars().filter(|c| !is_unseen(*c)).collect();
        assert!(seen.is_empty(), "{seen:?}");
    }

    #[test]
    fn letters_signs_and_blanks_are_seen() {
        let seen = "aZ09-_.:/ äß漢字Ωשלום😀€\u{301}\u{a0}\u{2028}\n";
        let unseen: Vec<_> = seen.chars().filter(|c| is_unseen(*c)).collect();
        assert!(unseen.is_empty(), "{unseen:?}");
    }
}
