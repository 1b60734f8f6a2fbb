//! The `forebay` command.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use forebay_writer::cli::{Arguments, Command};
use forebay_writer::config::{Config, PREFIX};
use forebay_writer::{check, logging, resume, run};

/// The command line or the configuration is wrong (`EX_USAGE`).
const USAGE: u8 = 64;

/// Something that a person has to look at.
const STOPPED: u8 = 1;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing can be done if the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let config = match load(arguments.command.config()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("forebay")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("forebay: start the runtime: {error}");
            return ExitCode::from(STOPPED);
        }
    };
    let code = match arguments.command {
        Command::Run(_) => {
            logging::start(&config.log);
            match runtime.block_on(run::run(config)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(stop) => {
                    tracing::error!("forebay writer stops: {stop}");
                    ExitCode::from(STOPPED)
                }
            }
        }
        Command::Resume(arguments) => match runtime.block_on(resume::resume(config, arguments)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(STOPPED),
            Err(error) => {
                eprintln!("forebay: {error}");
                ExitCode::from(STOPPED)
            }
        },
        Command::Check(_) => match runtime.block_on(check::check(&config)) {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(STOPPED),
        },
    };
    // Threads of a Kafka client that can't reach its broker must not hold up the end.
    runtime.shutdown_background();
    code
}

/// Reads the configuration, or says every problem of it.
fn load(path: &Path) -> Result<Config, ExitCode> {
    let variables = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    Config::load(path, &variables).map_err(|problems| {
        let count = problems.len();
        for problem in problems {
            eprintln!("forebay: {problem}");
        }
        let plural = if count == 1 { "problem" } else { "problems" };
        eprintln!("forebay: {count} {plural} in the configuration; nothing was started");
        ExitCode::from(USAGE)
    })
}
