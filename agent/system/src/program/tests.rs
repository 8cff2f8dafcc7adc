//! Programs of every machine, as they behave and misbehave.

use super::running::STDERR_BYTES_MAX;
use super::*;

const LIMITS: Limits = Limits { time: Duration::from_secs(60), output_bytes: 2 << 20 };
const SHORT: Limits = Limits { time: Duration::from_millis(100), ..LIMITS };

fn program(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn sh(script: &str, limits: Limits) -> Result<Finished, ProgramError> {
    run(program("/bin/sh", &["-c", script]), b"", limits)
}

#[test]
fn input_output_diagnostics_and_exit_come_back_whole() {
    let finished = run(program("cat", &[]), &vec![b'x'; 1 << 20], LIMITS).unwrap();
    assert_eq!((finished.status.success(), finished.stdout.len()), (true, 1 << 20));
    let finished = sh("echo out; echo err >&2; exit 3", LIMITS).unwrap();
    assert_eq!((&*finished.stdout, &*finished.stderr, finished.status.code()), (&b"out\n"[..], "err\n", Some(3)));
    let failed = finished.successful().unwrap_err();
    assert_eq!(failed.to_string(), "exit status: 3: err\n");
}

#[test]
fn a_program_that_wants_no_input_is_not_failed_by_it() {
    let finished = run(program("true", &[]), &vec![b'x'; 1 << 20], LIMITS).unwrap();
    assert!(finished.status.success());
}

#[test]
fn a_missing_program_is_not_started() {
    let error = run(program("/no/such/program", &[]), b"", LIMITS).unwrap_err();
    assert!(matches!(error, ProgramError::Start(_)), "{error}");
}

#[test]
fn much_on_standard_error_does_not_stop_it() {
    let finished = sh("head -c 1000000 /dev/zero >&2; echo done", LIMITS).unwrap();
    assert_eq!((&*finished.stdout, finished.stderr.len()), (&b"done\n"[..], STDERR_BYTES_MAX));
}

#[test]
fn what_tells_on_both_streams_is_read_in_the_order_in_which_it_was_written() {
    let script = "echo a >&2; echo b; echo c >&2; read -r nothing; exit 3";
    let bounds = Arc::new(Budget::new(LIMITS, Arc::default()));
    let running = Running::start_telling(program("/bin/sh", &["-c", script]), bounds).unwrap();
    let (mut output, _) = running.ends();
    let mut told = String::new();
    output.read_to_string(&mut told).unwrap();
    assert_eq!((&*told, running.wait().unwrap().code()), ("a\nb\nc\n", Some(3)));
}

/// Patience that is over soon for every wait but the first, as what is left of a whole.
struct Shrinking(AtomicBool);

impl Bounds for Shrinking {
    fn patience(&self) -> std::io::Result<Duration> {
        let is_first = !self.0.swap(true, Ordering::Relaxed);
        Ok(if is_first { Duration::from_secs(60) } else { Duration::from_nanos(1) })
    }

    fn count(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }

    fn timed_out(&self) -> std::io::Error {
        std::io::ErrorKind::TimedOut.into()
    }
}

#[test]
fn a_wait_lasts_as_long_as_was_left_when_it_began() {
    let script = program("/bin/sh", &["-c", "sleep 0.3; echo done"]);
    let running = Running::start_telling(script, Arc::new(Shrinking(AtomicBool::new(false)))).unwrap();
    let (mut output, _) = running.ends();
    let mut told = [0; 5];
    output.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"done\n");
}

#[test]
fn endless_output_is_ended() {
    let error = sh("exec cat /dev/zero", Limits { output_bytes: 1000, ..LIMITS }).unwrap_err();
    assert_eq!(error.to_string(), "it was killed after 1000 bytes of output");
}

/// The child of the program holds its pipes: only killing the group ends both.
#[test]
fn a_hanging_program_is_killed_with_its_children() {
    let begun = Instant::now();
    for script in ["sleep 600 & sleep 600; echo", "exec >&- 2>&-; sleep 600", "cat; sleep 600"] {
        let error = sh(script, SHORT).unwrap_err();
        assert!(matches!(error, ProgramError::TooLong(_)), "{script}: {error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

/// Who asked is gone: the pipe ends when the last of the program's children does.
#[tokio::test]
async fn a_program_whose_asker_is_gone_ends_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(program("mkfifo", &[pipe.to_str().unwrap()]).status().unwrap().success());
    let script = format!("sleep 600 >'{}'; true", pipe.display());
    let asking = tokio::spawn(run_beside(program("/bin/sh", &["-c", &script]), Vec::new(), LIMITS));
    let mut held = tokio::fs::File::open(&pipe).await.unwrap();
    asking.abort();
    let mut said = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut held, &mut said);
    let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert_eq!(ended.expect("a child lives on").unwrap(), 0);
}
