//! The embedded store against the suite every store must pass.
//! Not here: reopening, kill -9 (`crash.rs`), the cases (`moim-store`).

use std::sync::Arc;

use moim_store::conformance::Fresh;
use moim_store_fjall::{EmbeddedConfig, EmbeddedStore};

async fn fresh() -> Fresh {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = EmbeddedStore::open(EmbeddedConfig::at(folder.path())).expect("open");
    Fresh { store: Arc::new(store), keep: Box::new(folder) }
}

moim_store::store_suite!(fresh());
