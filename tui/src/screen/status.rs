//! What a screen says in the line above the keys: where in the list one is, what is filtered or searched.

use crate::model::records::{Record, Records};

/// What is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// What is special.
    pub left: String,
    /// Where one is.
    pub right: String,
    /// Whether the right part is to be seen: there is more than what is shown.
    pub calls: bool,
}

/// Of a list of records.
pub(super) fn of_records<T: Record>(records: &Records<T>) -> Status {
    Status { left: filter(&records.filter), right: place(records.cursor, records.len()), calls: false }
}

/// What is filtered.
pub(super) fn filter(filter: &str) -> String {
    if filter.is_empty() { String::new() } else { format!("filter /{filter}") }
}

/// What is searched.
pub(super) fn search(search: &str) -> String {
    if search.is_empty() { String::new() } else { format!("search /{search}") }
}

/// `3 of 4,812`.
pub(super) fn place(cursor: usize, count: usize) -> String {
    if count == 0 { String::new() } else { format!("{} of {}", grouped(cursor as u64 + 1), grouped(count as u64)) }
}

/// `4,812`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    #[test]
    fn large_numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (4_812, "4,812"), (1_234_567, "1,234,567")] {
            assert_eq!(super::grouped(number), text);
        }
    }
}
