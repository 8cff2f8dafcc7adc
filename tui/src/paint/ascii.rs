//! Signs for terminals that know ASCII alone. The console is written with its signs; here each has its stand-in, one
//! column for one column, so that nothing moves.

/// The text in ASCII.
pub(super) fn ascii(text: &str) -> String {
    text.chars().map(sign).collect()
}

fn sign(c: char) -> char {
    match c {
        c if c.is_ascii() => c,
        '✔' => '+',
        '✖' => 'x',
        '◐' => '~',
        '●' => 'o',
        '○' => '.',
        '≠' => '!',
        '‖' => '=',
        '■' => '#',
        '·' => '.',
        '–' | '─' | '┄' | '━' => '-',
        '│' | '├' | '└' | '┌' | '┐' | '┘' | '┤' | '┬' | '┴' | '┼' => '|',
        '▌' | '›' | '▸' | '→' => '>',
        '▾' | '↓' => 'v',
        '↑' => '^',
        '←' => '<',
        '…' => '~',
        '“' | '”' => '"',
        _ => '?',
    }
}
