//! The pages of `--help` in Korean.
//! Not here: the same in English (`english`), the commands themselves (`cli`).

use super::texts::{Page, Texts};

/// See the top of the file.
pub(super) const TEXTS: Texts = Texts {
    usage: "사용법",
    commands: "명령",
    options: "옵션",
    arguments_heading: "인자",
    settings: "설정",
    short: "`moim --help`에는 예와 설정과 종료 코드가 있습니다.",
    pages: &[
        Page { command: "moim", about: "채팅 서버: WebSocket과 HTTP로 이야기하는 방, 바로 쓰는 페이지, 잃지 않는 메시지", long: "\
moim은 프로그램 하나로 된 채팅 서버입니다. 아무 인자 없이 실행하면 http://127.0.0.1:8765/ 에서 페이지와 WebSocket과 HTTP \
인터페이스를 제공하고, 모든 메시지를 moim-data 폴더에 보관하며, 이 컴퓨터에 있는 누구나 채팅할 수 있습니다. 방은 들어가면 생깁니다.", after: "\
예:
  moim                           이 컴퓨터에서 채팅. 페이지는 http://127.0.0.1:8765/
  moim --listen 127.0.0.1:9000   다른 포트에서
  moim config > moim.toml        모든 설정이 든, 고쳐 쓸 파일
  moim --config moim.toml        그 파일로 실행
  moim chat                      이 터미널에서 이야기하기

설정:
  설정은 limits.connections_max처럼 섹션 안의 키입니다. 파일로 정하고, 환경 변수
  (MOIM__LIMITS__CONNECTIONS_MAX=20000)가 파일을 이기고, 플래그가 둘 다 이깁니다.

  다른 컴퓨터에서 접속하게 하려면 어디서, 누구에게 열지 말해야 합니다:
    MOIM__AUTH__MODE=anonymous moim --listen 0.0.0.0:8765

  도움말의 언어는 LANG을 따르고, MOIM_LANG=ko 또는 MOIM_LANG=en으로 고릅니다.

종료 코드:
  0  마쳤거나, 요청을 받고 멈춤       2   명령줄을 이해하지 못함
  1  시작하지 못했거나 실패함         78  설정에 잘못이 있음 (모두 알려 줍니다)

다음: `moim config`는 모든 설정과 그 뜻을, `moim help serve`는 멈추는 방법을 알려 줍니다." },
        Page { command: "serve", about: "채팅을 제공합니다. `moim`만 실행해도 같습니다", long: "\
멈추라고 할 때까지 채팅을 제공합니다. 주소와 저장소, 먼저 해 볼 것은 표준 출력에, 로그는 표준 오류에 나옵니다.

SIGTERM이나 Ctrl-C를 받으면 깨끗이 멈춥니다. 준비되지 않음으로 바뀌고, 클라이언트에게 언제 돌아올지 알리고, 연결을 조금씩 닫고, 보낸 \
것을 저장한 뒤 0으로 끝납니다. 속도는 [drain] 섹션이 정합니다. kill -9로 죽여도 확인 응답을 받은 것은 잃지 않고, 클라이언트는 다시 \
연결해 이어 갑니다.", after: "\
예:
  moim serve
  moim serve --listen 127.0.0.1:9000 --ops-listen 127.0.0.1:9001 --data /var/lib/moim
  MOIM__STORE__KIND=memory moim serve       디스크에 아무것도 남기지 않음

다음: 페이지를 창 두 개로 열어 보세요. `moim healthcheck`는 준비되었는지 묻습니다." },
        Page { command: "chat", about: "터미널에서 방에 들어가거나, 방을 따라 읽거나, 방에 줄을 보냅니다", long: "\
터미널에서 방에 들어가 이야기합니다. 지난 메시지, 입력 중인 사람, 접속자 수, 쓰는 줄이 보입니다. 끊겼다가 돌아오면 있던 곳에서 \
이어지므로 잃는 것도 두 번 보이는 것도 없고, 보여 주지 못한 것은 알려 줍니다. 내 메시지는 확인 응답을 받을 때까지 쓰는 줄 위에 있습니다.

파이프로 들어온 줄은 차례로 보내며, 앞 줄이 확인된 다음에 다음 줄을 보냅니다. 모두 확인되면 0으로 끝납니다. --tail을 쓰거나 출력이 \
터미널이 아니면 방을 한 줄씩 따라 읽습니다.

다른 사람이 쓴 글은 터미널에 아무 일도 할 수 없습니다. 제어 문자는 기호로 바뀝니다. NO_COLOR가 있으면 색을 쓰지 않습니다.", after: "\
예:
  moim chat                                        이 컴퓨터의 general 방
  moim chat 모임 --name 민아 --url https://chat.example.com
  moim chat general --tail                         Ctrl-C를 누를 때까지 따라 읽기
  echo \"deployed $TAG\" | moim chat ops --name ci   보내고, 확인되지 않으면 실패
  moim chat general --tail --json | jq .content

종료 코드:
  0  나갔거나, 모든 줄이 확인됨          2  명령줄이나 --url을 이해하지 못함
  1  연결하지 못했거나, 다 보내지 못함

다음: 터미널 하나에서 `moim chat --tail`, 다른 하나에서 `moim chat`을 실행해 보세요." },
        Page { command: "writer", about: "Redis의 메시지를 저장소로 옮기기만 합니다", long: "\
Redis의 메시지를 저장소로 옮기고, 사람에게는 아무것도 제공하지 않습니다. 사람이 접속하는 노드에서 이 일을 떼어 낼 때 씁니다(그 노드에는 \
writer.enabled = false). bus.kind = \"redis\"가 필요합니다. 운영자용 주소만 엽니다: /metrics, /livez, /readyz.

여러 개를 따로, 또는 `moim serve` 옆에서 실행할 수 있습니다. 일을 나누어 하고, 하나가 사라지면 몇 초 안에 다른 노드가 그 몫을 이어 \
갑니다. SIGTERM이나 Ctrl-C를 받으면 맡은 것을 저장한 뒤 멈춥니다.", after: "\
예:
  moim writer --config moim.toml
  MOIM__WRITER__ENABLED=false moim serve --config moim.toml     제공만 하고 저장은 writer에 맡김

다음: /metrics의 moim_dead_letters_total과 moim_writer_write_duration_seconds가 상태를 알려 줍니다." },
        Page { command: "migrate", about: "Cassandra에 테이블을 만듭니다", long: "\
store.kind = \"cassandra\"에 필요한 키스페이스와 테이블 가운데 없는 것을 만들고, 무엇을 만들었는지 알리고 끝납니다. 더하기만 하므로 \
언제든, 몇 번이든, moim이 실행 중이어도 실행할 수 있습니다. 처음 시작하기 전과 새 버전을 쓰기 전에 한 번 실행하세요. 다른 명령은 \
테이블을 바꾸지 않습니다.", after: "\
예:
  moim migrate --config moim.toml
  MOIM__BUS__KIND=redis MOIM__STORE__KIND=cassandra MOIM__CASSANDRA__CONTACT_POINTS=10.0.0.1:9042 moim migrate

다음: 같은 설정으로 `moim serve`." },
        Page { command: "check-config", about: "설정의 잘못을 모두 알리고, 아무것도 시작하지 않습니다", long: "\
`serve`처럼 파일과 환경 변수와 플래그를 읽고, 잘못을 한 번에 한 줄씩 모두 알립니다. 어디에 있는지, 무엇이 잘못인지, 무엇을 써야 하는지. \
아무것도 시작하지 않고 주소도 열지 않습니다. 0 또는 78로 끝납니다.", after: "\
예:
  moim check-config --config moim.toml
  MOIM__LIMITS__CONNECTIONS_MAX=many moim check-config

다음: `moim config`는 설정이 결국 어떻게 되는지 보여 줍니다." },
        Page { command: "config", about: "쓰이게 될 설정과 그 출처를 출력합니다", long: "\
`serve`가 쓰게 될 설정을 TOML로 출력합니다. 키마다 뜻과 값이 있고, 기본값이 아니면 누가 정했는지도 나옵니다. 비밀은 가립니다. 출력을 \
고쳐서 파일로 쓸 수 있습니다.

설정을 쓰는 방법은 세 가지이고, 뒤의 것이 이깁니다:
  파일               [limits]
                     connections_max = 20000
  환경 변수          MOIM__LIMITS__CONNECTIONS_MAX=20000   (목록은 쉼표로, 비어 있으면 정하지 않은 것)
  플래그             --listen, --ops-listen, --data, --log-format", after: "\
예:
  moim config > moim.toml
  moim config --config moim.toml | grep '# from'

다음: `moim check-config`는 아무것도 시작하지 않고 파일을 확인합니다." },
        Page { command: "healthcheck", about: "실행 중인 moim에게 준비되었는지 묻습니다", long: "\
이 설정으로 실행 중인 moim에게 listen.ops에서 사람을 받을 준비가 되었는지(/readyz) 묻습니다. 한 문장으로 답하고 0(예) 또는 1(아니요, \
또는 2초 안에 답이 없음)로 끝납니다. 컨테이너의 상태 확인용이며, 셸도 curl도 필요 없습니다.", after: "\
예:
  moim healthcheck                            사람을 받을 준비가 되었나?
  moim healthcheck --live                     끝나는 중일지라도 살아 있나?
  HEALTHCHECK CMD [\"moim\", \"healthcheck\"]     Dockerfile에서

다음: 같은 주소에서 Prometheus용 /metrics도 제공합니다." },
        Page { command: "completions", about: "셸 자동 완성을 출력합니다", long: "\
셸이 moim의 명령과 플래그를 자동 완성하게 하는 스크립트를 출력합니다.", after: "\
예:
  moim completions bash > ~/.local/share/bash-completion/completions/moim
  moim completions zsh > \"${fpath[1]}/_moim\"
  moim completions fish > ~/.config/fish/completions/moim.fish

다음: 새 셸을 열고 `moim ` 뒤에서 Tab을 눌러 보세요." },
        Page { command: "man", about: "매뉴얼 페이지를 출력합니다", long: "\
moim이나 그 명령 하나의 매뉴얼 페이지를 troff로 출력합니다.", after: "\
예:
  moim man | man -l -
  moim man serve > moim-serve.1

다음: `moim reference`는 참조 문서를 Markdown으로 출력합니다." },
        Page { command: "reference", about: "참조 문서를 Markdown으로 출력합니다: 프로토콜 또는 모든 설정", long: "\
바로 이 버전의 문서를 Markdown으로 출력합니다. 프로토콜의 모든 프레임과 오류 코드와 닫기 코드, 또는 설정의 모든 키와 그 기본값, 환경 \
변수, 범위입니다. 문서는 영어입니다.", after: "\
예:
  moim reference protocol > protocol.md
  moim reference configuration | less

다음: `moim config`는 지금 쓰이는 설정을 출력합니다." },
        Page { command: "help", about: "이 도움말이나 명령의 도움말을 출력합니다", long: "", after: "" },
    ],
    arguments: &[
        ("help", "도움말을 출력합니다. -h는 요약"),
        ("version", "버전을 출력합니다"),
        ("config", "이 TOML 파일에서 설정을 읽습니다 [환경 변수: MOIM_CONFIG]"),
        ("listen", "사람들이 접속하는 주소 [키: listen.public] [기본값: 127.0.0.1:8765]"),
        ("ops_listen", "운영자가 보는 주소 [키: listen.ops] [기본값: 127.0.0.1:9765]"),
        ("data", "메시지를 보관하는 폴더 [키: embedded.path] [기본값: moim-data]"),
        ("log_format", "로그 형식, text 또는 json [키: log.format] [기본값: text]"),
        ("live", "준비되었는지가 아니라 살아 있는지(/livez) 묻습니다"),
        ("room", "방. 들어가면 생깁니다 [기본값: general]"),
        ("url", "서버의 주소 [환경 변수: MOIM_URL] [기본값: 이 컴퓨터에 설정된 주소]"),
        ("name", "이름 [환경 변수: MOIM_NAME] [기본값: 로그인 이름]"),
        ("tail", "방을 한 줄씩 따라 읽기만 하고 보내지 않습니다"),
        ("history", "먼저 보여 줄 지난 메시지의 수, 0에서 100 [기본값: 20]"),
        ("json", "한 줄에 JSON 객체 하나: 메시지, 또는 파이프로 보낸 줄의 확인 응답"),
        ("ack", "메시지가 wal(로그) 또는 stored(저장소)에 있을 때까지 기다립니다 [기본값: 서버의 설정]"),
        ("timeout", "파이프로 보낸 줄의 확인 응답을 기다리는 초 [기본값: 30]"),
        ("shell", "셸: bash, zsh 또는 fish"),
        ("of", "페이지를 볼 명령. 없으면 moim의 페이지"),
        ("page", "페이지: protocol 또는 configuration"),
    ],
};
