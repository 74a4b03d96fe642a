//! Carries a plan out, and proves of each fault that it was there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep;

use super::plan::{Kind, Step};
use super::proof::{calls_down, is_stopped, sees};
use crate::error::{LoadError, Result};
use crate::history::Event;
use crate::lab::laboratory::Laboratory;
use crate::lab::network::{Network, Place};
use crate::lab::postgres::{Postgres, signal};
use crate::random::Random;
use crate::report::say;
use crate::scenario::fleet::Shared;

/// Packets of a thousand that are lost between nodes.
const LOSS_PERMILLE: u32 = 50;

/// One of so many connections becomes half open.
const HALF_OPEN_SHARE: usize = 3;

/// How long a cut of a flapping link lasts, and how long it holds between two, seconds.
const FLAP: (f64, f64) = (1.0, 5.0);

/// A node's clock is wrong by so many seconds, at most: one that is off by a minute is refused.
const SKEW: (f64, f64) = (20.0, 50.0);

/// Between two nodes of a rolling restart: an operator waits until the first is healthy.
const ROLLING_PAUSE: Duration = Duration::from_secs(5);

/// What a panic of the build with the feature `broken` says.
const PANIC: &str = "a defect, as wanted";

/// How often as long as planned it is waited for the first panic.
const PANIC_LASTS_MAX: u32 = 4;

/// Who breaks things.
pub(super) struct Nemesis<'a> {
    pub(super) lab: &'a mut Laboratory,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) random: Random,
    /// Where libfaketime is.
    pub(super) faketime: Option<PathBuf>,
    /// A klatsch whose actors panic.
    pub(super) broken: Option<PathBuf>,
    pub(super) number: u32,
    /// The largest resident memory that a node has had behind a fault.
    pub(super) resident_kib: u64,
}

impl Nemesis<'_> {
    /// Breaks one thing, mends it, and leaves the cluster in peace for a while.
    pub(super) async fn strike(&mut self, step: &Step) -> Result<()> {
        self.number += 1;
        let number = self.number;
        let fault = step.kind.name();
        say(&format!("fault {number}: {fault}, {step}"));
        let in_flight = self.shared.await_traffic().await;
        self.shared.recorder.record(Event::Fault {
            number,
            fault,
            what: step.to_string(),
            in_flight,
        });
        self.carry_out(step).await?;
        self.shared.recorder.record(Event::Healed { number });
        self.resident_kib = self.resident_kib.max(self.lab.resident_kib());
        let healed = Instant::now();
        if self.all_see_all(healed + step.calm).await {
            self.noticed(true, healed);
        }
        if step.kind.takes_nobody() {
            self.watch(healed + step.calm).await;
        }
        sleep(step.calm.saturating_sub(healed.elapsed())).await;
        Ok(())
    }

    /// Waits while one node is out of reach; notes when another calls it down.
    async fn wait_out(&mut self, step: &Step) {
        let began = Instant::now();
        let mut nodes = self.lab.nodes.iter();
        if let Some(witness) = nodes.find(|node| node.number() != step.node)
            && calls_down(&[witness], began + step.lasts).await.is_some()
        {
            self.noticed(false, began);
        }
        sleep(step.lasts.saturating_sub(began.elapsed())).await;
    }

    /// Waits, and notes when a node calls another down meanwhile: nobody is to be.
    async fn watch(&self, until: Instant) {
        let nodes: Vec<_> = self.lab.nodes.iter().collect();
        if let Some(node) = calls_down(&nodes, until).await {
            let number = self.number;
            let called = Event::CalledDown { number, node };
            self.shared.recorder.record(called);
        }
        sleep(until.saturating_duration_since(Instant::now())).await;
    }

    /// Waits until every node calls all others up; false when it is not so in time, or there is
    /// one node only.
    async fn all_see_all(&self, deadline: Instant) -> bool {
        let others = self.lab.nodes.len() - 1;
        for node in &self.lab.nodes {
            if !sees(node, deadline, others).await {
                return false;
            }
        }
        others > 0
    }

    fn noticed(&self, is_up: bool, since: Instant) {
        let after_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.shared.recorder.record(Event::Noticed {
            number: self.number,
            is_up,
            after_ms,
        });
    }

    async fn carry_out(&mut self, step: &Step) -> Result<()> {
        let (node, other) = (Place::Node(step.node), Place::Node(step.other));
        match step.kind {
            Kind::Kill => self.kill(step).await,
            Kind::Pause => self.pause(step).await,
            Kind::Split => {
                self.cut(&both(node, &self.other_nodes(step.node)), step)
                    .await
            }
            Kind::OneWay => self.cut(&[(node, other)], step).await,
            Kind::Partial => self.cut(&both(node, &[other]), step).await,
            Kind::Flap => self.flap(step).await,
            Kind::Loss => self.lose(step).await,
            Kind::Delay => self.delay(step).await,
            Kind::StoreStop => self.stop_store(step).await,
            Kind::StoreCut => {
                let nodes = self.nodes();
                self.cut(&both(Place::Store, &nodes), step).await
            }
            Kind::StoreCutOne => self.cut(&both(node, &[Place::Store]), step).await,
            Kind::Isolate => {
                let mut all = self.other_nodes(step.node);
                all.push(Place::Store);
                self.cut(&both(node, &all), step).await
            }
            Kind::StoreFreeze => self.freeze_store(step).await,
            Kind::StoreLock => self.lock_store(step).await,
            Kind::Clock => self.skew(step).await,
            Kind::HalfOpen => self.half_open(step).await,
            Kind::Rolling => self.restart_all().await,
            Kind::Panic => self.panic(step).await,
        }
    }

    /// Experiment 1.
    async fn kill(&mut self, step: &Step) -> Result<()> {
        let server = &mut self.lab.node(step.node).server;
        server.kill()?;
        self.proven("its process is gone");
        self.wait_out(step).await;
        self.lab.restart(step.node).await
    }

    /// Experiment 2.
    async fn pause(&mut self, step: &Step) -> Result<()> {
        let pid = self.lab.node(step.node).server.pid();
        self.lab.node(step.node).server.signal(Signal::STOP)?;
        self.wait_out(step).await;
        if is_stopped(pid) {
            self.proven("its process is stopped");
        }
        self.lab.node(step.node).server.signal(Signal::CONT)
    }

    /// Experiments 3 to 5, and 8 where the network is in the way.
    async fn cut(&mut self, pairs: &[(Place, Place)], step: &Step) -> Result<()> {
        let before = self.network()?.dropped()?;
        self.network()?.cut(pairs)?;
        match step.kind {
            Kind::Split | Kind::Isolate => self.wait_out(step).await,
            _ => sleep(step.lasts).await,
        }
        self.mend(before)
    }

    /// Experiment 6.
    async fn flap(&mut self, step: &Step) -> Result<()> {
        let pairs = both(Place::Node(step.node), &self.other_nodes(step.node));
        let before = self.network()?.dropped()?;
        let until = Instant::now() + step.lasts;
        while Instant::now() < until {
            self.network()?.cut(&pairs)?;
            self.some_time(FLAP).await;
            self.network()?.heal()?;
            self.some_time(FLAP).await;
        }
        self.mend(before)
    }

    /// Experiment 7.
    async fn lose(&mut self, step: &Step) -> Result<()> {
        let before = self.network()?.dropped()?;
        self.network()?.lose(LOSS_PERMILLE)?;
        self.watch(Instant::now() + step.lasts).await;
        self.mend(before)
    }

    /// Experiment 7.
    async fn delay(&mut self, step: &Step) -> Result<()> {
        let random = self.random.part(u64::from(self.number));
        let detour = self.network()?.detour(&random)?;
        self.watch(Instant::now() + step.lasts).await;
        if let Some(tally) = detour.end().await {
            self.proven(&tally.to_string());
        }
        Ok(())
    }

    /// Experiment 8.
    async fn stop_store(&mut self, step: &Step) -> Result<()> {
        self.store()?.crash()?;
        if !self.store()?.answers() {
            self.proven("it does not answer");
        }
        sleep(step.lasts).await;
        self.store()?.start()
    }

    /// Experiment 9.
    async fn freeze_store(&mut self, step: &Step) -> Result<()> {
        let frozen = self.store()?.processes()?;
        for pid in &frozen {
            // One that has ended meanwhile needs no freezing.
            let _ = signal(*pid, Signal::STOP);
        }
        sleep(step.lasts).await;
        let is_frozen = |pid: &&i32| is_stopped(pid.unsigned_abs());
        let count = frozen.iter().filter(is_frozen).count();
        if count > 1 {
            self.proven(&format!("{count} of its processes are stopped"));
        }
        for pid in frozen {
            let _ = signal(pid, Signal::CONT);
        }
        Ok(())
    }

    /// Experiment 9.
    async fn lock_store(&mut self, step: &Step) -> Result<()> {
        let table = self.store()?.busiest_table()?;
        let mut lock = self.store()?.lock(&table, step.lasts.as_secs_f64())?;
        let until = Instant::now() + step.lasts;
        let mut waited = 0;
        while Instant::now() < until && waited == 0 {
            sleep(Duration::from_millis(200)).await;
            waited = self.store()?.waiting()?;
        }
        if waited > 0 {
            self.proven(&format!("{waited} wait for the lock of {table}"));
        }
        while lock.try_wait()?.is_none() {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Experiment 12.
    async fn skew(&mut self, step: &Step) -> Result<()> {
        let library = self.faketime.clone().unwrap_or_default();
        let seconds = self.random.between(SKEW.0, SKEW.1);
        let sign = ["+", "-"][self.random.below(2) as usize];
        let set = |name: &str, value: String| (name.to_owned(), value);
        let variables = [
            set("LD_PRELOAD", library.to_string_lossy().into_owned()),
            set("DONT_FAKE_MONOTONIC", "1".into()),
            set("FAKETIME", format!("{sign}{seconds:.0}s")),
        ];
        self.replace(step.node, None, &variables).await?;
        let pid = self.lab.node(step.node).server.pid();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        if maps.contains("libfaketime") {
            self.proven(&format!("its clock is off by {sign}{seconds:.0} s"));
        }
        sleep(step.lasts).await;
        self.replace(step.node, None, &[]).await
    }

    /// Experiment 13.
    async fn half_open(&mut self, step: &Step) -> Result<()> {
        let before = self.network()?.dropped()?;
        let mut ports = self.network()?.client_ports(step.node)?;
        let count = ports.len().div_ceil(HALF_OPEN_SHARE);
        ports.truncate(count);
        self.network()?.mute(&ports)?;
        sleep(step.lasts).await;
        self.mend(before)
    }

    /// Experiment 16.
    async fn restart_all(&mut self) -> Result<()> {
        let count = self.lab.nodes.len() as u32;
        let mut replaced = 0;
        for number in 1..=count {
            let before = self.lab.node(number).server.pid();
            self.replace(number, None, &[]).await?;
            replaced += u32::from(self.lab.node(number).server.pid() != before);
            if number < count {
                sleep(ROLLING_PAUSE).await;
            }
        }
        if replaced == count {
            self.proven("every process is another one");
        }
        Ok(())
    }

    /// Experiment 17.
    async fn panic(&mut self, step: &Step) -> Result<()> {
        let count = |lab: &mut Laboratory| lab.node(step.node).console().matches(PANIC).count();
        let before = count(self.lab);
        let broken = self.broken.clone();
        let variables = [("KLATSCH_BROKEN".to_owned(), "panic".to_owned())];
        self.replace(step.node, broken, &variables).await?;
        // A node that few clients have found yet has little to panic over.
        let started = Instant::now();
        while started.elapsed() < step.lasts
            || started.elapsed() < PANIC_LASTS_MAX * step.lasts && count(self.lab) == before
        {
            sleep(Duration::from_millis(200)).await;
            // One that has had enough ends itself, and is started again as by its supervisor.
            if self.lab.node(step.node).server.has_ended()? {
                self.lab.restart(step.node).await?;
            }
        }
        let panics = count(self.lab).saturating_sub(before);
        if panics > 0 {
            self.proven(&format!("{panics} actors have panicked"));
        }
        self.replace(step.node, None, &[]).await
    }

    /// Stops a node as an operator does, and starts another program in its place.
    async fn replace(
        &mut self,
        number: u32,
        program: Option<PathBuf>,
        variables: &[(String, String)],
    ) -> Result<()> {
        let node = self.lab.node(number);
        node.server.stop().await?;
        node.run_next(program.as_deref(), variables);
        self.lab.restart(number).await
    }

    /// Ends all cuts; they were there when they have dropped something.
    fn mend(&mut self, before: u64) -> Result<()> {
        let dropped = self.network()?.dropped()?.saturating_sub(before);
        self.network()?.heal()?;
        if dropped > 0 {
            self.proven(&format!("{dropped} packets were dropped"));
        }
        Ok(())
    }

    fn proven(&self, by: &str) {
        let (number, by) = (self.number, by.to_owned());
        self.shared.recorder.record(Event::Proven { number, by });
    }

    async fn some_time(&mut self, (least, most): (f64, f64)) {
        sleep(Duration::from_secs_f64(self.random.between(least, most))).await;
    }

    fn nodes(&self) -> Vec<Place> {
        let count = self.lab.nodes.len() as u32;
        (1..=count).map(Place::Node).collect()
    }

    fn other_nodes(&self, node: u32) -> Vec<Place> {
        let mut others = self.nodes();
        others.retain(|place| *place != Place::Node(node));
        others
    }

    fn network(&self) -> Result<&Network> {
        let missing = || LoadError::Usage("there is no network to break".into());
        self.lab.network.as_ref().ok_or_else(missing)
    }

    fn store(&self) -> Result<&Postgres> {
        let missing = || LoadError::Usage("there is no PostgreSQL to break".into());
        self.lab.postgres.as_ref().ok_or_else(missing)
    }
}

/// Both ways between one place and others.
fn both(one: Place, others: &[Place]) -> Vec<(Place, Place)> {
    let pairs = others
        .iter()
        .flat_map(|other| [(one, *other), (*other, one)]);
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_between_places_goes_both_ways() {
        let pairs = both(Place::Store, &[Place::Node(1), Place::Node(2)]);
        assert_eq!(pairs.len(), 4);
        assert!(pairs.contains(&(Place::Node(2), Place::Store)));
        assert!(pairs.contains(&(Place::Store, Place::Node(2))));
    }
}
