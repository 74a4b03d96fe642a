//! A PostgreSQL of the run's own, in a folder of its own: started, stopped in the middle of its
//! work, frozen and locked.
//!
//! Debian's package brings the programs; `initdb` refuses root, so an ordinary user runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::command::{run_all, word};
use crate::error::{LoadError, Result};

/// Where Debian has its versions.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The database, and the role that owns it.
const NAME: &str = "klatsch";

/// Whoever the programs run as when root starts them: Debian's own user for it, else nobody.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    /// Words before every command that has to run where the server is, as its user.
    as_user: Vec<String>,
    address: String,
    port: u16,
}

impl Postgres {
    /// Makes a database in `folder` and starts its server at `address`, where `at` leads.
    pub(crate) fn set_up(folder: &Path, at: &[String], address: &str, port: u16) -> Result<Self> {
        let mut as_user = at.to_vec();
        fs::create_dir_all(folder)?;
        if rustix::process::geteuid().is_root() {
            let (user, group) = ordinary_user()?;
            std::os::unix::fs::chown(folder, Some(user), Some(group))?;
            as_user.extend([
                "setpriv".into(),
                format!("--reuid={user}"),
                format!("--regid={group}"),
                "--clear-groups".into(),
            ]);
        }
        let postgres = Self {
            programs: programs()?,
            folder: folder.to_owned(),
            as_user,
            address: address.to_owned(),
            port,
        };
        let data = word(&postgres.data());
        let how = [
            "-U",
            NAME,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-D",
            &data,
        ];
        postgres.run("initdb", &how)?;
        postgres.configure()?;
        postgres.start()?;
        let reach = postgres.reach();
        let reach: Vec<_> = reach.iter().map(String::as_str).collect();
        postgres.run("createdb", &[&reach[..], &["-U", NAME, NAME]].concat())?;
        Ok(postgres)
    }

    /// What nodes connect to.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{NAME}@{}:{}/{NAME}", self.address, self.port)
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self) -> Result<()> {
        let (data, log) = (word(&self.data()), word(&self.folder.join("log")));
        let how = ["start", "-w", "-t", "60", "-D", &data, "-l", &log];
        self.run("pg_ctl", &how).map(drop)
    }

    /// Stops the server as a crash would: everybody is killed, and the next start recovers from
    /// the log.
    pub(crate) fn crash(&self) -> Result<()> {
        let data = word(&self.data());
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &data])
            .map(drop)
    }

    /// Whether the server answers.
    pub(crate) fn answers(&self) -> bool {
        self.ask("SELECT 1").is_ok()
    }

    /// What a query answers, one row a line.
    pub(crate) fn ask(&self, query: &str) -> Result<String> {
        run_all(&self.asking(query))
    }

    /// The processes that serve nodes, and the one that would start more.
    pub(crate) fn processes(&self) -> Result<Vec<i32>> {
        let mut all = self.backends()?;
        all.extend(self.postmaster());
        Ok(all)
    }

    /// All processes that can be asked about; none when it does not answer.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let all = self.processes().unwrap_or_default();
        all.into_iter().map(i32::unsigned_abs).collect()
    }

    /// The process that starts all others: the first line of its own file.
    fn postmaster(&self) -> Option<i32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    fn backends(&self) -> Result<Vec<i32>> {
        let pids = self.ask(
            "SELECT pid FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )?;
        Ok(pids
            .lines()
            .filter_map(|pid| pid.trim().parse().ok())
            .collect())
    }

    /// The table that most was written to.
    pub(crate) fn busiest_table(&self) -> Result<String> {
        let table = self.ask(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(relname) \
             FROM pg_stat_user_tables ORDER BY n_tup_ins + n_tup_upd DESC LIMIT 1",
        )?;
        Ok(table.trim().to_owned())
    }

    /// Keeps everybody from writing to a table, for so many seconds; the lock ends with the
    /// process that is handed out.
    pub(crate) fn lock(&self, table: &str, seconds: f64) -> Result<Child> {
        let query = format!(
            "BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
        );
        let words = self.asking(&query);
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(child)
    }

    /// How many wait for a lock.
    pub(crate) fn waiting(&self) -> Result<u64> {
        let count = self.ask("SELECT count(*) FROM pg_locks WHERE NOT granted")?;
        Ok(count.trim().parse().unwrap_or(0))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn reach(&self) -> [String; 4] {
        let port = self.port.to_string();
        ["-h".into(), self.address.clone(), "-p".into(), port]
    }

    fn asking(&self, query: &str) -> Vec<String> {
        let program = word(&self.programs.join("psql"));
        let how = ["-U", NAME, "-d", NAME, "-X", "-q", "-t", "-A", "-c", query];
        let how = how.map(str::to_owned);
        // What has no answer within seconds has none.
        let patience = ["env".to_owned(), "PGCONNECT_TIMEOUT=3".to_owned()];
        let words = patience.into_iter().chain([program]).chain(self.reach());
        words.chain(how).collect()
    }

    /// Durable, as an operator's would be; reachable from the run's own network alone.
    fn configure(&self) -> Result<()> {
        let Self { address, port, .. } = self;
        let sockets = word(&self.folder);
        append(
            &self.data().join("postgresql.conf"),
            &format!(
                "listen_addresses = '{address}'\nport = {port}\n\
                 unix_socket_directories = '{sockets}'\nmax_connections = 200\n\
                 fsync = on\nsynchronous_commit = on\n"
            ),
        )?;
        let everybody = format!("{address}/24");
        let line = format!("host all all {everybody} trust\n");
        append(&self.data().join("pg_hba.conf"), &line)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let program = word(&self.programs.join(program));
        let words = self.as_user.iter().cloned().chain([program]);
        let arguments = arguments.iter().map(|it| (*it).to_owned());
        run_all(&words.chain(arguments).collect::<Vec<_>>())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Frozen processes would keep it from ending; who starts the others has to answer first.
        let _ = self.postmaster().map(|pid| signal(pid, Signal::CONT));
        for pid in self.backends().unwrap_or_default() {
            let _ = signal(pid, Signal::CONT);
        }
        let _ = self.crash();
    }
}

/// Sends a process a signal.
pub(crate) fn signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).ok_or_else(|| LoadError::Usage("no such process".into()))?;
    Ok(kill_process(pid, signal).map_err(std::io::Error::from)?)
}

/// The newest version that is installed.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let versions = versions.filter_map(|version| {
        let programs = version.path().join("bin");
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        programs
            .join("initdb")
            .is_file()
            .then_some((number, programs))
    });
    let newest = versions.max_by_key(|(number, _)| *number);
    newest
        .map(|(_, programs)| programs)
        .ok_or_else(|| LoadError::Usage(format!("no PostgreSQL in {VERSIONS}")))
}

/// The numbers of a user who is not root, and of its group.
fn ordinary_user() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let found = USERS.iter().find_map(|name| numbers_of(&users, name));
    found.ok_or_else(|| LoadError::Usage(format!("no user of {USERS:?} to run PostgreSQL as")))
}

/// User and group in a line of passwd(5).
fn numbers_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
    Some((fields.next()??, fields.next()??))
}

fn append(path: &Path, text: &str) -> Result<()> {
    let before = fs::read_to_string(path)?;
    Ok(fs::write(path, before + text)?)
}

#[cfg(test)]
mod tests {
    use super::numbers_of;

    #[test]
    fn users_are_known_by_their_whole_name() {
        let users = "postgresql:x:1:2::/:/bin/sh\npostgres:x:103:105:a:/var:/bin/bash\n";
        assert_eq!(numbers_of(users, "postgres"), Some((103, 105)));
        assert_eq!(numbers_of(users, "nobody"), None);
    }
}
