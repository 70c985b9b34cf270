//! Numbers as text, without an allocation for each.

/// A number in digits.
pub(crate) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut position = digits.len();
    loop {
        position -= 1;
        digits[position] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[position..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_everywhere() {
        for number in [0, 7, 10, 1_764_300_000_000, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
