//! The catalogue's sections `redis` and `cassandra`, for nodes that share rooms.
//! Not here: the other sections and what an entry is made of (`catalogue`).

use super::{ANY, Kind, MOST, Section, both, key, number, secret, small};

/// Section `redis`.
pub(super) const REDIS: Section = Section {
    name: "redis",
    about: both(
        "The bus of kind redis: Redis 6.2 or later, or Valkey, with appendonly on and maxmemory-policy noeviction.",
        "redis 버스: Redis 6.2 이상 또는 Valkey. appendonly를 켜고 maxmemory-policy는 noeviction으로 두어야 합니다.",
    ),
    keys: &[
        key(
            "urls",
            Kind::Texts,
            "The servers, each as redis://[user:password@]host:port, or rediss:// for TLS. The same on every node.",
            "서버들. 하나하나 redis://[사용자:비밀번호@]호스트:포트로, TLS이면 rediss://로 씁니다. 모든 노드에서 같아야 합니다.",
        ),
        key(
            "topology",
            Kind::Choice(&["single", "several", "sentinel", "cluster"]),
            "single: one server. several: independent ones that share the work. sentinel, cluster: urls name some of them.",
            "single: 서버 하나. several: 일을 나누어 하는 독립된 서버들. sentinel, cluster: urls에는 그 가운데 몇 개를 씁니다.",
        ),
        key(
            "sentinel_master",
            Kind::Text,
            "What the sentinels call the master.",
            "센티널이 마스터를 부르는 이름.",
        ),
        key(
            "username",
            Kind::Text,
            "The user, for servers whose URL names none.",
            "URL에 사용자가 없는 서버에 쓸 사용자.",
        ),
        secret(
            "password",
            Kind::Text,
            "The password, for servers whose URL has none.",
            "URL에 비밀번호가 없는 서버에 쓸 비밀번호.",
        ),
        key(
            "tls_ca",
            Kind::Text,
            "PEM file of who signs the servers' certificates, instead of the system's.",
            "서버 인증서에 서명한 기관의 PEM 파일. 시스템의 것 대신 씁니다.",
        ),
        key(
            "key_prefix",
            Kind::Text,
            "In front of every key and channel: several clusters can share a Redis.",
            "모든 키와 채널 앞에 붙습니다. 여러 클러스터가 Redis 하나를 함께 쓸 수 있습니다.",
        ),
        small(
            "partitions",
            1,
            4096,
            "Parts that rooms are spread over. The same on every node, and for good.",
            "방을 나누어 맡길 구획의 수. 모든 노드에서 같아야 하고, 나중에 바꿀 수 없습니다.",
        ),
        small(
            "ring_rows",
            1,
            u32::MAX as u64,
            "Newest messages of a room kept in Redis when they are stored.",
            "저장된 뒤에도 Redis에 남겨 두는, 한 방의 가장 새 메시지의 수.",
        ),
        number(
            "room_idle_seconds",
            2,
            MOST,
            "Seconds after which a silent, stored room leaves Redis.",
            "조용하고 모두 저장된 방이 Redis에서 나가기까지의 초.",
        ),
        key(
            "tail_bytes_max",
            ANY,
            "Bytes of messages that a node keeps until they are stored, in case Redis loses them.",
            "Redis가 잃을 때를 위해, 저장될 때까지 노드가 가지고 있는 메시지의 바이트.",
        ),
    ],
};

/// Section `cassandra`.
pub(super) const CASSANDRA: Section = Section {
    name: "cassandra",
    about: both(
        "The store of kind cassandra: Cassandra or Scylla. `moim migrate` makes its tables. An empty text: not set.",
        "cassandra 저장소: Cassandra 또는 Scylla. 테이블은 `moim migrate`가 만듭니다. 빈 텍스트는 정하지 않은 것입니다.",
    ),
    keys: &[
        key(
            "contact_points",
            Kind::Texts,
            "Nodes to ask first, as host:port; the others are learned from them.",
            "처음에 물어볼 노드, 호스트:포트. 다른 노드는 이들에게서 알아냅니다.",
        ),
        key("keyspace", Kind::Text, "Where the tables are.", "테이블이 있는 키스페이스."),
        small(
            "replication_factor",
            1,
            16,
            "Copies of each message, when `moim migrate` makes the keyspace. 3 nodes and 3 copies survive the loss of one.",
            "`moim migrate`가 키스페이스를 만들 때 정하는, 메시지마다의 복제본 수. 노드 3개에 복제본 3개면 하나를 잃어도 됩니다.",
        ),
        key(
            "datacenter",
            Kind::Text,
            "The data centre that is read and written. Empty: the only one there is.",
            "읽고 쓰는 데이터 센터. 비우면 하나뿐인 그것.",
        ),
        key(
            "username",
            Kind::Text,
            "Who we are, where the cluster asks.",
            "클러스터가 로그인을 요구할 때의 사용자.",
        ),
        secret("password", Kind::Text, "And our password.", "그리고 그 비밀번호."),
        key(
            "tls_ca_file",
            Kind::Text,
            "PEM file of who signs the nodes' certificates. Set: TLS and nothing else.",
            "노드 인증서에 서명한 기관의 PEM 파일. 정하면 TLS로만 연결합니다.",
        ),
        key(
            "tls_cert_file",
            Kind::Text,
            "PEM file of our own certificate, where the cluster wants one.",
            "클러스터가 인증서를 요구할 때 보여 줄 인증서의 PEM 파일.",
        ),
        key("tls_key_file", Kind::Text, "PEM file of its key.", "그 인증서의 키가 든 PEM 파일."),
        number(
            "connect_timeout_millis",
            100,
            60_000,
            "Milliseconds to open a connection to a node.",
            "노드에 연결하는 데 허용하는 밀리초.",
        ),
        number(
            "read_timeout_millis",
            50,
            60_000,
            "Milliseconds a read may take, its retries included.",
            "읽기 하나에 허용하는 밀리초. 재시도를 포함합니다.",
        ),
        number(
            "write_timeout_millis",
            50,
            60_000,
            "Milliseconds a write may take, its retries included.",
            "쓰기 하나에 허용하는 밀리초. 재시도를 포함합니다.",
        ),
        number(
            "speculative_after_millis",
            0,
            60_000,
            "Milliseconds after which a read is also sent to another node. 0: never.",
            "읽기를 다른 노드에도 보내기까지의 밀리초. 0: 보내지 않음.",
        ),
        small(
            "reads_at_once_max",
            1,
            1024,
            "Pages read at once; each may hold 16 MiB. Beyond it they wait.",
            "한꺼번에 읽는 페이지의 수. 하나가 16 MiB까지 될 수 있습니다. 넘는 것은 기다립니다.",
        ),
        small(
            "writes_at_once_max",
            1,
            1024,
            "Batches written at once. Beyond it they wait.",
            "한꺼번에 쓰는 묶음의 수. 넘는 것은 기다립니다.",
        ),
    ],
};
