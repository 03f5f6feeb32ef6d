//! The scripts, each with what it needs in front of it.
//! Not here: what they are called with (the modules that call them).

use redis::{FromRedisValue, RedisError, Script, aio::ConnectionLike};

/// Makes the struct, its constructor, and nothing else.
macro_rules! scripts {
    ($($name:ident: $($library:ident)? + $file:literal;)*) => {
        /// Every script there is.
        pub(crate) struct Scripts {
            $(pub(crate) $name: Script,)*
        }

        impl Scripts {
            /// `sharded`: events go over the sharded channels of a Redis Cluster.
            pub(crate) fn new(sharded: bool) -> Self {
                $(let $name = script(&[scripts!(@library $($library)?), include_str!($file)], sharded);)*
                Self { $($name,)* }
            }
        }
    };
    (@library) => { "" };
    (@library recovery) => { include_str!("lua/lib_recovery.lua") };
    (@library late) => { include_str!("lua/lib_late.lua") };
}

scripts! {
    publish: + "lua/publish.lua";
    seed: + "lua/seed.lua";
    ring: late + "lua/ring.lua";
    read_log: + "lua/read_log.lua";
    commit: + "lua/commit.lua";
    mark: + "lua/mark.lua";
    dead: + "lua/dead.lua";
    lease: + "lua/lease.lua";
    heartbeat: + "lua/heartbeat.lua";
    presence: + "lua/presence.lua";
    open: + "lua/open.lua";
    hand_in: recovery + "lua/hand_in.lua";
    enough: recovery + "lua/enough.lua";
    read_staged: recovery + "lua/read_staged.lua";
    merge: recovery + "lua/merge.lua";
    raise: recovery + "lua/raise.lua";
    remember: recovery + "lua/remember.lua";
    opened: recovery + "lua/opened.lua";
    late: late + "lua/late.lua";
    late_highest: late + "lua/late_highest.lua";
}

fn script(parts: &[&str], sharded: bool) -> Script {
    let text = [include_str!("lua/lib_generation.lua"), &parts.concat()].concat();
    // Classic channels of a cluster reach every one of its servers.
    Script::new(&if sharded { text.replace("'PUBLISH'", "'SPUBLISH'") } else { text })
}

/// What a script is called with, after its keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args(Vec<Vec<u8>>);

impl Args {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, arg: impl ToString) -> Self {
        self.push(arg);
        self
    }

    pub(crate) fn push(&mut self, arg: impl ToString) {
        self.0.push(arg.to_string().into_bytes());
    }

    pub(crate) fn push_bytes(&mut self, arg: Vec<u8>) {
        self.0.push(arg);
    }
}

/// Loads it first where it is not known.
pub(crate) async fn invoke<T: FromRedisValue>(
    script: &Script,
    keys: &[String],
    args: &Args,
    connection: &mut (impl ConnectionLike + Send),
) -> Result<T, RedisError> {
    let mut invocation = script.prepare_invoke();
    for key in keys {
        invocation.key(key);
    }
    for arg in &args.0 {
        invocation.arg(arg.as_slice());
    }
    invocation.invoke_async(connection).await
}
