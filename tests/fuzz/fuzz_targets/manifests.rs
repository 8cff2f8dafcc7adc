#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| quarterdeck_fuzz::manifests::check(data));
