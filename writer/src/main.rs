//! The `forebay` command.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io::stdout;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use forebay_writer::cli::{Arguments, ButlerCommand, Command, DeadLettersCommand};
use forebay_writer::command_error::CommandError;
use forebay_writer::config::{Config, PREFIX};
use forebay_writer::status::status;
use forebay_writer::{butler_command, check, dead_letters, logging, resume, run};

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
    execute(arguments.command).unwrap_or_else(|code| code)
}

/// What can fail at the start fails before the runtime runs.
fn execute(command: Command) -> Result<ExitCode, ExitCode> {
    match command {
        Command::Run(argument) => {
            let config = load(&argument.config)?;
            logging::start(&config.log);
            on_runtime(run::run(config))?.map_err(|stop| {
                tracing::error!("forebay writer stops: {stop}");
                ExitCode::from(STOPPED)
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(argument) => {
            let config = load(&argument.config)?;
            Ok(exit(on_runtime(check::check(&config))?))
        }
        Command::Resume(arguments) => {
            let config = load(&arguments.config.config)?;
            on_runtime(resume::resume(config, arguments))?.map(exit).map_err(|error| {
                eprintln!("forebay: {error}");
                ExitCode::from(STOPPED)
            })
        }
        Command::Status(arguments) => {
            let config = load(&arguments.config.config)?;
            let admin = arguments.admin.dsn().map_err(explain)?;
            let mut out = stdout();
            let looked = on_runtime(status(&config, admin, arguments.json, &mut out))?;
            looked.map(exit).map_err(explain)
        }
        Command::Butler(ButlerCommand::Check(arguments)) => {
            let dsn = arguments.admin.required_dsn().map_err(explain)?;
            let mut out = stdout();
            let checked = on_runtime(butler_command::check(dsn, &arguments, &mut out))?;
            checked.map(exit).map_err(explain)
        }
        Command::Butler(ButlerCommand::Register(arguments)) => {
            let dsn = arguments.admin.required_dsn().map_err(explain)?;
            let mut out = stdout();
            let registered = on_runtime(butler_command::register(dsn, &arguments, &mut out))?;
            registered.map(exit).map_err(explain)
        }
        Command::DeadLetters(DeadLettersCommand::List(arguments)) => {
            let dsn = arguments.admin.required_dsn().map_err(explain)?;
            let mut out = stdout();
            on_runtime(dead_letters::list(dsn, &arguments, &mut out))?.map_err(explain)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::DeadLetters(DeadLettersCommand::Show(arguments)) => {
            let dsn = arguments.admin.required_dsn().map_err(explain)?;
            let mut out = stdout();
            on_runtime(dead_letters::show(dsn, &arguments, &mut out))?.map_err(explain)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn exit(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::from(STOPPED) }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("forebay")
        .enable_all()
        .build()
        .map_err(|error| {
            eprintln!("forebay: start the runtime: {error}");
            ExitCode::from(STOPPED)
        })?;
    let done = runtime.block_on(work);
    // Threads of a Kafka client that can't reach its broker must not hold up the end.
    runtime.shutdown_background();
    Ok(done)
}

/// Says why a command failed.
fn explain(error: CommandError) -> ExitCode {
    if error.is_broken_pipe() {
        return ExitCode::SUCCESS;
    }
    eprintln!("forebay: {error}");
    match error {
        CommandError::Usage(_) => ExitCode::from(USAGE),
        _ => ExitCode::from(STOPPED),
    }
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
