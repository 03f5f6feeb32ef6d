//! The memory store against the suite every store must pass.
//! Not here: its bounds (`src/memory.rs`), the cases (`src/conformance.rs`).

use std::sync::Arc;

use moim_store::{MemoryStore, conformance::Fresh};

async fn fresh() -> Fresh {
    Fresh { store: Arc::new(MemoryStore::default()), keep: Box::new(()) }
}

moim_store::store_suite!(fresh());
