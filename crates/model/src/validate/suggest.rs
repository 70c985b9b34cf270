//! What somebody probably meant.

/// The candidate nearest to a misspelt or unfinished word, ignoring case; `None` if none is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    // A letter of an alphabet is a small part of a word; a character of Chinese, Japanese or Korean often is one.
    let most = |longer: usize| longer / if word.iter().any(|character| is_ideograph(*character)) { 6 } else { 3 };
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let folded = fold(candidate);
            let begun = word.len() >= 3 && folded.starts_with(&word);
            let distance = if begun { 1 } else { distance(&word, &folded) };
            (distance <= most(word.len().max(folded.len()))).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Nobody misspells a longer word, and comparing is quadratic.
const LONGEST: usize = 200;

/// Ideographs, kana and Hangul syllables.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}')
}

/// Case and word separators are what people most often get wrong.
fn fold(word: &str) -> Vec<char> {
    word.chars().filter(|character| !matches!(character, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Edit distance in which swapping two neighbours counts once (optimal string alignment).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = Vec::with_capacity(right.len() + 1);
        current.push(row + 1);
        for (column, b) in right.iter().enumerate() {
            let mut cost = (previous[column] + usize::from(a != b)).min(previous[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                cost = cost.min(before[column - 1] + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_far_away() {
        let words = ["CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP"];
        assert_eq!(nearest("consume_from_frist_offset", words), Some("CONSUME_FROM_FIRST_OFFSET"));
        assert_eq!(nearest("LATEST", words), None);
        assert_eq!(nearest("selfbuild", ["SelfBuilt", "Cloud_4"]), Some("SelfBuilt"));
        assert_eq!(nearest("public", ["PrivateNetwork", "PublicNetwork"]), Some("PublicNetwork"));
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest("上海库", ["北海库", "qingdao"]), None);
        assert_eq!(nearest("orders-上海", ["orders-北京", "qingdao"]), None);
        assert_eq!(nearest("上海订单转发一号", ["上海订单转发二号", "qingdao"]), Some("上海订单转发二号"));
    }

    #[test]
    fn a_swap_counts_once() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("nmae"), &chars("name")), 1);
        assert_eq!(distance(&chars(""), &chars("abc")), 3);
        assert_eq!(distance(&chars("kitten"), &chars("sitting")), 3);
    }
}
