//! Whole jobs, from files to files: what the command line runs, and what a program that embeds Striate calls.

mod clock;
mod events;
mod extract;
mod fit;
mod fitted;
mod host_features;
mod input;
mod model;
mod plan;
mod predict;
mod profile;
pub mod published;
mod record;
mod recording;
mod reliability;
mod responses;
mod ridge_fit;
mod rows;
mod run_folder;
mod score;
mod scores_table;
mod smooth;
mod study;
mod submission;
mod sweep;
mod tier;
mod trained_fit;
mod trained_model;

pub use crate::features::Convolution;
pub use events::{EventsRequest, EventsSource, EventsSummary, EventsWarning, MethodRequest, events};
pub use extract::{ExtractRequest, ExtractSummary, LayerSummary, extract};
pub use fit::{FitJob, FitRequest, FitSummary, ReadoutRequest, fit};
pub use input::{FeaturesInput, Input, NetworkInput, NormaliseRequest};
pub use model::Model;
pub use plan::{FitPlan, Form, Operations};
pub use predict::{PredictRequest, PredictSummary, predict};
pub use profile::{
    BestLayer, Control, LayerMean, PlannedRun, ProfileJob, ProfilePlan, ProfileRequest, ProfileSummary,
    ProfiledLayer, profile,
};
pub use record::{AdapterRecord, InputRecord, RunRecord};
pub use recording::{Recording, RecordingRequest, SplitRequest};
pub use responses::{
    Blanks, DefinitionRequest, Dropped, FolderFiles, Gathered, KeptTrial, ResponsesPlan, ResponsesRequest,
    ResponsesSummary, are_there, gather, learnt_from_split, plan_responses, responses, responses_folder,
};
pub use ridge_fit::{RidgeRequest, SmoothRidgeRequest};
pub use rows::{Rows, Scaled, TrialsRecord, TrialsRequest};
pub use score::{ScoreRequest, ScoreSummary, score};
pub use study::{PartRequest, PartSummary, StudyPart, StudyRequest, StudyStatus, StudySummary, study};
pub use submission::{SubmissionRequest, SubmissionSummary, submission};
pub use sweep::{
    Base, Configuration, Grid, SweepJob, SweepPlan, SweepProgress, SweepRequest, SweepStatus, SweepSummary,
    TABLES, TopRow, all_diverged, configurations, sweep,
};
pub use tier::PredictionsRequest;
pub use trained_fit::TrainedRequest;

/// Told of the progress of a step: its name, and the share of it that is done, from 0 to 1.
pub type Progress<'a> = dyn FnMut(&'static str, f64) + 'a;
