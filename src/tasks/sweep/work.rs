//! The training of a stage: features once for each input, groups one after the other, results kept as they
//! come.

use super::configuration::Configuration;
use super::job::{SweepJob, SweepProgress, SweepStatus, distinct};
use super::journal::{Checkpoint, Journal};
use super::result::{Finished, best};
use super::train::{Group, most};
use crate::error::Result;
use crate::gpu::{Gpu, too_large};
use crate::scores::{NeuronScores, Predicted, score};
use crate::tasks::host_features::HostFeatures;
use crate::tasks::recording::Recording;
use crate::training::{Data, Outcome, Resident, Standardise, Trainer};
use ndarray::Axis;
use std::time::{Duration, Instant};

/// What trains a stage.
pub(super) struct Work<'a, 'p> {
    gpu: &'a Gpu,
    journal: &'a mut Journal,
    progress: &'a mut SweepProgress<'p>,
    recording: &'a Recording,
    /// Rows that train, choose and test.
    rows: [Vec<usize>; 3],
    seed: u64,
    between: Duration,
    status: SweepStatus,
}

/// A training that is going on.
struct Running<'a> {
    group: Group<'a>,
    seconds: Vec<f64>,
    going: Vec<bool>,
    kept: Instant,
    cost: Duration,
}

impl<'a, 'p> Work<'a, 'p> {
    pub fn new(
        gpu: &'a Gpu,
        job: &'a SweepJob<'_>,
        journal: &'a mut Journal,
        progress: &'a mut SweepProgress<'p>,
    ) -> Self {
        let status = SweepStatus {
            step: "features",
            done: journal.finished().len(),
            total: job.request.grid.count(),
            epoch: 0,
            best: best(journal.finished().values()).and_then(Finished::validation_r),
            share: 0.0,
        };
        Work {
            gpu,
            journal,
            progress,
            rows: [&job.train, &job.validation, &job.recording.split.test]
                .map(|images| job.recording.rows.of(images)),
            recording: &job.recording,
            seed: job.request.recording.seed,
            between: job.request.checkpoint,
            status,
        }
    }

    /// Trains the configurations that have not finished yet, the training that was under way first.
    pub fn train(&mut self, members: &[Configuration]) -> Result<()> {
        let checkpoint = self.journal.checkpoint()?;
        for input in distinct(members) {
            let finished = self.journal.finished();
            let begun = |one: &Configuration| {
                checkpoint.as_ref().is_some_and(|kept| kept.configurations.contains(&one.number))
            };
            let of_input = || members.iter().filter(|one| one.input == *input);
            let pending: Vec<&Configuration> =
                of_input().filter(|one| !finished.contains_key(&one.number) && !begun(one)).collect();
            let under_way: Vec<&Configuration> = of_input().filter(|one| begun(one)).collect();
            if pending.is_empty() && under_way.is_empty() {
                continue;
            }
            let (progress, mut status) = (&mut *self.progress, self.status.clone());
            let (rows, train) = (&self.recording.rows, &self.rows[0]);
            let standardised = of_input().all(|one| one.shared.standardise != Standardise::None);
            let features =
                HostFeatures::compute(self.gpu, input, rows, train, standardised, &mut |_, share| {
                    status.step = "features";
                    status.share = share;
                    progress(&status);
                })?;
            if let Some(first) = under_way.first() {
                let group = Group { shared: &first.shared, members: under_way.clone() };
                self.group(group, &features, checkpoint.as_ref())?;
            }
            for group in Group::of(pending.into_iter()) {
                self.group(group, &features, None)?;
            }
        }
        Ok(())
    }

    /// Trains configurations that share everything but their own settings, all at once or as many as fit.
    fn group(&mut self, group: Group<'_>, features: &HostFeatures, from: Option<&Checkpoint>) -> Result<()> {
        let (neurons, images) = self.recording.rows.responses.dim();
        let resident = features.resident(self.gpu, &self.rows[0], group.shared)?;
        if from.is_some() {
            return self.together(group, &resident, from);
        }
        let free = self.gpu.ledger().free();
        let alone =
            |count: usize| Trainer::bytes(self.gpu, group.shared, features.shape, [neurons, images], count);
        let binds = |count: usize| Trainer::binds(self.gpu, group.shared, features.shape, neurons, count);
        // Where some are done, the others move to smaller matrices while the larger ones are still there;
        // what is done predicts beside those that train.
        let bytes = |count: usize| match binds(count) {
            true => alone(count) + alone(count.saturating_sub(1).max(1)),
            false => u64::MAX,
        };
        let at_once = most(group.members.len(), free, bytes);
        if at_once == 0 {
            return Err(too_large("one configuration", bytes(1), free, self.gpu.ledger().budget()));
        }
        group.cut(at_once).into_iter().try_for_each(|part| self.together(part, &resident, None))
    }

    fn together(&mut self, group: Group<'_>, resident: &Resident, from: Option<&Checkpoint>) -> Result<()> {
        let (shared, settings) = (group.shared, group.settings());
        let responses = self.recording.rows.responses.view();
        let [train, validation, _] = self.rows.clone();
        let data = Data { features: resident, responses, train: &train, validation: &validation };
        let mut trainer = match from {
            None => Trainer::new(self.gpu, data, shared, &settings)?,
            Some(kept) => Trainer::restore(self.gpu, data, shared, &settings, &kept.state)?,
        };
        let seconds = from.map_or_else(|| vec![0.0; settings.len()], |kept| kept.seconds.clone());
        let finished = self.journal.finished();
        let going = group.numbers().iter().map(|number| !finished.contains_key(number)).collect();
        let mut running = Running { group, seconds, going, kept: Instant::now(), cost: Duration::ZERO };
        while !trainer.done() {
            let started = Instant::now();
            let outcomes = trainer.epoch()?;
            running.count(started.elapsed());
            for outcome in outcomes {
                self.keep(&mut running, &outcome, resident)?;
            }
            self.status.epoch = trainer.epochs();
            self.report(&running);
            if !trainer.done() && running.kept.elapsed() >= self.between.max(10 * running.cost) {
                running.checkpoint(self.journal, &trainer)?;
            }
        }
        self.status.epoch = 0;
        self.journal.forget()
    }

    /// Scores and keeps what has finished.
    fn keep(&mut self, running: &mut Running<'_>, outcome: &Outcome, resident: &Resident) -> Result<()> {
        let at = outcome.configuration;
        running.going[at] = false;
        let number = running.group.members[at].number;
        // It may have finished after the checkpoint that training goes on from.
        if self.journal.finished().contains_key(&number) {
            return Ok(());
        }
        let scores = || -> Result<Vec<NeuronScores>> {
            let Recording { responses, split, rows } = self.recording;
            let predicted = outcome.readout.predict(self.gpu, resident, &self.rows[2])?;
            let images = rows.by_image(predicted.view(), &self.rows[2]);
            let trials = rows.by_repeat(predicted.view(), &self.rows[2], responses.n_repeats());
            let predicted = Predicted { images: images.view(), trials: trials.as_ref().map(|t| t.view()) };
            let held_out = responses.repeats.select(Axis(1), &split.test);
            score(held_out.view(), predicted, self.seed)
        };
        let finished = Finished::new(number, outcome, running.seconds[at], scores)?;
        self.journal.add(finished)?;
        self.status.done = self.journal.finished().len();
        self.status.best = best(self.journal.finished().values()).and_then(Finished::validation_r);
        Ok(())
    }

    fn report(&mut self, running: &Running<'_>) {
        let most = running.group.shared.epochs as f64;
        let going = running.going.iter().filter(|going| **going).count() as f64;
        let under_way = going * (self.status.epoch as f64 / most).min(1.0);
        self.status.step = "training";
        self.status.share = (self.status.done as f64 + under_way) / self.status.total as f64;
        (self.progress)(&self.status);
    }
}

impl Running<'_> {
    /// An epoch's time, shared by those that trained in it.
    fn count(&mut self, time: Duration) {
        let share = time.as_secs_f64() / self.going.iter().filter(|going| **going).count().max(1) as f64;
        for (seconds, _) in self.seconds.iter_mut().zip(&self.going).filter(|(_, going)| **going) {
            *seconds += share;
        }
    }

    /// Keeps the training; results of what has finished are kept already. What this costs says when it is
    /// done next.
    fn checkpoint(&mut self, journal: &mut Journal, trainer: &Trainer<'_>) -> Result<()> {
        let started = Instant::now();
        let (configurations, seconds) = (self.group.numbers(), self.seconds.clone());
        journal.keep(&Checkpoint { configurations, seconds, state: trainer.state()? })?;
        self.kept = Instant::now();
        self.cost = started.elapsed();
        Ok(())
    }
}
