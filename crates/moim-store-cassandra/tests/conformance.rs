//! The Cassandra store against the suite every store must pass, on a real cluster.
//! Not here: what only this store promises (the files beside this one), the cases (`moim-store`).

mod cluster;

use moim_store::conformance::Fresh;

async fn fresh() -> Fresh {
    let store = cluster::store().await;
    Fresh { store: store.store.clone(), keep: Box::new(store) }
}

moim_store::store_suite!(fresh());
