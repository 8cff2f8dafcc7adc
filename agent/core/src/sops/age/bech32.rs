//! Bech32 (BIP 173), in which age writes keys: a name, `1`, the bytes by five bits, a checksum. Of any length, as age has it.

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Letters of the checksum.
const CHECKSUM: usize = 6;

/// The name, in lower case, and the bytes; nothing where the checksum does not fit or the case is mixed.
pub(super) fn decode(text: &str) -> Option<(String, Vec<u8>)> {
    let lower = text.to_ascii_lowercase();
    if !text.is_ascii() || (text != lower && text != text.to_ascii_uppercase()) {
        return None;
    }
    let (name, data) = lower.rsplit_once('1')?;
    let groups: Vec<u8> = data.bytes().map(group).collect::<Option<_>>()?;
    let payload = groups.len().checked_sub(CHECKSUM)?;
    if polymod(name, &groups) != 1 {
        return None;
    }
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for five in &groups[..payload] {
        bits = (bits << 5) | u32::from(*five);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // What is left over is padding: less than a group, and zero.
    (count < 5 && bits == 0).then(|| (name.to_owned(), bytes))
}

/// The bytes under a name, in lower case.
pub(super) fn encode(name: &str, bytes: &[u8]) -> String {
    let (mut groups, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            groups.push((bits >> count) as u8 & 31);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        groups.push((bits << (5 - count)) as u8 & 31);
    }
    let padded = [&*groups, &[0; CHECKSUM]].concat();
    let sum = polymod(name, &padded) ^ 1;
    groups.extend((0..CHECKSUM).map(|place| (sum >> (5 * (CHECKSUM - 1 - place))) as u8 & 31));
    let letters: String = groups.iter().map(|five| char::from(LETTERS[usize::from(*five)])).collect();
    format!("{name}1{letters}")
}

fn group(letter: u8) -> Option<u8> {
    LETTERS.iter().position(|known| *known == letter).and_then(|place| u8::try_from(place).ok())
}

fn polymod(name: &str, groups: &[u8]) -> u32 {
    let high = name.bytes().map(|byte| byte >> 5);
    let low = name.bytes().map(|byte| byte & 31);
    high.chain([0]).chain(low).chain(groups.iter().copied()).fold(1, |sum, group| {
        let top = sum >> 25;
        let generators = [0x3b6a_57b2_u32, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let sum = ((sum & 0x01ff_ffff) << 5) ^ u32::from(group);
        (0..5).filter(|bit| top >> bit & 1 == 1).fold(sum, |sum, bit| sum ^ generators[bit])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_cut_off_or_mistyped_is_refused() {
        let key = "age1dfm22kur48n6aa0rgnw5h37l57gs9q78xuyqf8h8q4cz29jhd9hq84mzj9";
        let (name, bytes) = decode(key).unwrap();
        assert_eq!((name.as_str(), bytes.len(), encode(&name, &bytes).as_str()), ("age", 32, key));
        assert!(decode(&key.to_uppercase()).is_some());
        for wrong in
            [&key[..key.len() - 1], &key.replace("dfm", "dgm"), &key.replace("age1d", "age1D"), "age", "", "1", "age1ä"]
        {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(name in "[a-z-]{1,12}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decode(&encode(&name, &bytes)), Some((name, bytes)));
        }
    }
}
