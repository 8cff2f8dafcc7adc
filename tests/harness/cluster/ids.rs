//! What tells objects apart: uids, ends of names and addresses, each from a number that the cluster gives once, and digits
//! from a text. Pure.

/// A uid in the usual form, from a cluster and a number that it gives once.
pub fn uid(cluster: u64, serial: u64) -> String {
    let serial = (cluster << 32 | serial) & 0xffff_ffff_ffff;
    let mixed = serial.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{serial:012x}",
        mixed >> 32,
        (mixed >> 16) & 0xffff,
        (mixed >> 4) & 0xfff,
        mixed & 0xfff
    )
}

/// Five letters as the server appends them to a `generateName`.
pub fn suffix(serial: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rest = serial.wrapping_add(7).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8;
    let mut letter = || {
        let letter = LETTERS[(rest % LETTERS.len() as u64) as usize];
        rest /= LETTERS.len() as u64;
        char::from(letter)
    };
    (0..5).map(|_| letter()).collect()
}

/// An address below a /16.
pub fn address(prefix: &str, serial: u64) -> String {
    format!("{prefix}.{}.{}", (serial >> 8) & 0xff, (serial & 0xff).max(1))
}

/// `count` hexadecimal digits that stand for a text.
pub fn digits(text: &str, count: usize) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(text.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().chars().cycle().take(count).collect()
}
