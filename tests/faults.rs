//! The Nth change to the disk failing, for every N of small jobs: a clear error, nothing half-written, what
//! stood there before untouched, and the next run right.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use std::path::{Path, PathBuf};
use std::time::Duration;

use command::Scratch;
use ndarray::{Array2, Array3, ArrayD};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::{disk, npy};
use striate::random::Random;
use striate::tasks::{
    Base, EventsRequest, EventsSource, ExtractRequest, FeaturesInput, FitRequest, Grid, Input, MethodRequest,
    NetworkInput, NormaliseRequest, ProfileRequest, ReadoutRequest, RecordingRequest, RidgeRequest, SplitRequest,
    SweepRequest, TrialsRequest, events, extract, fit, profile, sweep,
};
use striate::training::TrainingOptions;
use striate::{Kind, Result};
