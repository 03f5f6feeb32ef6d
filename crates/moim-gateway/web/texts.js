// Every text of the page, in Korean and English, and which of them is shown.
// Not here: what the server says by itself (its errors come in the browser's language).

/** @typedef {'ko' | 'en'} Language */

const fault = (/** @type {string} */ text) => () => text;
const many = (/** @type {number} */ count, /** @type {string} */ one, /** @type {string} */ more) =>
  `${count} ${count === 1 ? one : more}`;

const TEXTS = {
  ko: {
    title: '이야기할 방을 고르세요',
    lead: '이 서버는 moim입니다. 방마다 기록이 하나 있어서, 연결이 끊겼다 돌아와도 놓친 말이 순서대로 한 번씩 도착합니다.',
    name: '이름',
    namePlaceholder: '다른 사람에게 보일 이름',
    room: '방',
    enter: '들어가기',
    leave: '나가기',
    retry: '다시 연결',
    otherLanguage: 'English',
    rooms: '방',
    roomsVisited: '다녀온 방',
    roomsNone: '다녀온 방이 여기에 모입니다.',
    roomNew: '다른 방 열기',
    forget: (/** @type {string} */ room) => `${room} 목록에서 지우기`,
    unreadIn: (/** @type {number} */ count) => `새 메시지 ${count}개`,
    hereNow: (/** @type {number} */ count) => (count === 0 ? '지금은 아무도 없습니다' : `지금 ${count}명이 있습니다`),
    connect: '프로그램으로 연결하기',
    connectLead: '라이브러리 없이 WebSocket과 HTTP로 바로 연결됩니다. 아래 줄은 이 서버 주소로 채워져 있습니다.',
    copy: '복사',
    copied: '복사했습니다',
    copyByHand: '선택했습니다. 직접 복사해 주세요',
    messages: '메시지',
    text: '메시지를 입력하세요',
    send: '보내기',
    older: '이전 메시지 보기',
    olderLoading: '이전 메시지를 불러오는 중…',
    olderFailed: '이전 메시지를 지금 불러올 수 없습니다.',
    beginning: '대화의 시작입니다.',
    emptyRoom: '아직 아무 말도 없습니다. 첫마디를 남겨 보세요.',
    loading: '대화를 불러오는 중…',
    connecting: '연결하는 중',
    open: '연결됨',
    waiting: '다시 연결하는 중',
    offline: '오프라인입니다. 네트워크를 기다리는 중',
    unreachable: '서버에 닿지 않아 다시 시도하는 중',
    closed: '연결이 끝났습니다',
    idle: '',
    queued: (/** @type {number} */ count) => `메시지 ${count}개가 연결을 기다립니다`,
    count: (/** @type {number} */ count) => `${count}명`,
    members: '함께 있는 사람',
    membersMany: (/** @type {number} */ count) => `${count}명이 있어 이름은 보이지 않습니다.`,
    membersFailed: '지금은 알 수 없습니다.',
    you: '나',
    invite: '초대 링크 복사',
    close: '닫기',
    typing: (/** @type {string[]} */ names) =>
      names.length > 2 ? `${names.length}명이 입력 중…` : `${names.join(', ')} 님이 입력 중…`,
    join: (/** @type {string} */ name, /** @type {number} */ others) =>
      others > 0 ? `${name}님 외 ${others}명이 입장했습니다.` : `${name}님이 입장했습니다.`,
    leaveNotice: (/** @type {string} */ name, /** @type {number} */ others) =>
      others > 0 ? `${name}님 외 ${others}명이 퇴장했습니다.` : `${name}님이 퇴장했습니다.`,
    reset: '서버가 기록 없이 다시 시작되어, 대화가 새로 시작됩니다.',
    gap: '여기 사이에 받지 못한 메시지가 있습니다.',
    gapLoad: '불러오기',
    gapLoading: '불러오는 중…',
    unread: '여기부터 새 메시지',
    newMessages: (/** @type {number} */ count) => `새 메시지 ${count}개`,
    toEnd: '맨 아래로',
    heard: (/** @type {string} */ name, /** @type {string} */ content) => `${name}: ${content}`,
    more: (/** @type {number} */ letters) => `더 보기 (${letters.toLocaleString('ko-KR')}자 남음)`,
    pending: '보내는 중',
    sent: '전송됨',
    stored: '저장됨',
    failed: '보내지 못했습니다.',
    resend: '다시 보내기',
    outbox_full: fault('보낼 메시지가 너무 많이 밀려 있습니다. 연결된 뒤 다시 보내 주세요.'),
    message_too_large: fault('메시지가 너무 깁니다. 나누어 보내 주세요.'),
    no_answer: fault('서버가 응답하지 않습니다.'),
    outcome_unknown: fault('오래 끊겨 있어 전달되었는지 알 수 없습니다.'),
    cannot_connect: fault('이 주소로는 연결할 수 없습니다.'),
    room_invalid: fault('방 이름이 올바르지 않습니다.'),
  },
  en: {
    title: 'Pick a room and start talking',
    lead: 'This server runs moim. Every room is one log: lose your connection, come back, and what you missed is there, once each and in order.',
    name: 'Name',
    namePlaceholder: 'What others will call you',
    room: 'Room',
    enter: 'Enter',
    leave: 'Leave',
    retry: 'Reconnect',
    otherLanguage: '한국어',
    rooms: 'Rooms',
    roomsVisited: 'Rooms you have been to',
    roomsNone: 'Rooms you visit are kept here.',
    roomNew: 'Open another room',
    forget: (/** @type {string} */ room) => `Remove ${room} from the list`,
    unreadIn: (/** @type {number} */ count) => many(count, 'new message', 'new messages'),
    hereNow: (/** @type {number} */ count) => (count === 0 ? 'Nobody is here right now' : `${count} here right now`),
    connect: 'Connect a program',
    connectLead: 'Plain WebSocket and HTTP, no library needed. These lines already hold the address of this server.',
    copy: 'Copy',
    copied: 'Copied',
    copyByHand: 'Selected, please copy it by hand',
    messages: 'Messages',
    text: 'Write a message',
    send: 'Send',
    older: 'Show earlier messages',
    olderLoading: 'Loading earlier messages…',
    olderFailed: 'Earlier messages cannot be loaded right now.',
    beginning: 'This is the beginning.',
    emptyRoom: 'Nothing has been said yet. Be the first.',
    loading: 'Loading the conversation…',
    connecting: 'Connecting',
    open: 'Connected',
    waiting: 'Reconnecting',
    offline: 'Offline, waiting for a network',
    unreachable: 'Server out of reach, trying again',
    closed: 'Disconnected',
    idle: '',
    queued: (/** @type {number} */ count) =>
      `${many(count, 'message waits', 'messages wait')} for the connection`,
    count: (/** @type {number} */ count) => `${count} here`,
    members: 'Who is here',
    membersMany: (/** @type {number} */ count) => `${count} are here, too many to list by name.`,
    membersFailed: 'This is not known right now.',
    you: 'you',
    invite: 'Copy invite link',
    close: 'Close',
    typing: (/** @type {string[]} */ names) => {
      if (names.length > 2) return `${names.length} people are typing…`;
      return `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} typing…`;
    },
    join: (/** @type {string} */ name, /** @type {number} */ others) =>
      others > 0 ? `${name} and ${others} more joined.` : `${name} joined.`,
    leaveNotice: (/** @type {string} */ name, /** @type {number} */ others) =>
      others > 0 ? `${name} and ${others} more left.` : `${name} left.`,
    reset: 'The server restarted without its log: the conversation begins anew.',
    gap: 'Some messages here did not reach you.',
    gapLoad: 'Load them',
    gapLoading: 'Loading…',
    unread: 'New from here',
    newMessages: (/** @type {number} */ count) => many(count, 'new message', 'new messages'),
    toEnd: 'To the newest',
    heard: (/** @type {string} */ name, /** @type {string} */ content) => `${name}: ${content}`,
    more: (/** @type {number} */ letters) => `Show more (${letters.toLocaleString('en-GB')} letters left)`,
    pending: 'Sending',
    sent: 'Sent',
    stored: 'Stored',
    failed: 'Not sent.',
    resend: 'Send again',
    outbox_full: fault('Too many messages are waiting already. Send it again once you are connected.'),
    message_too_large: fault('The message is too long. Send it in parts.'),
    no_answer: fault('The server does not answer.'),
    outcome_unknown: fault('You were away for long: whether it was delivered is not known.'),
    cannot_connect: fault('There is no way to connect to this address.'),
    room_invalid: fault('The room name is not valid.'),
  },
};

/** @typedef {typeof TEXTS.ko} Texts */

/** @type {Language} */
let language = navigator.language.toLowerCase().startsWith('ko') ? 'ko' : 'en';

/** The texts of the language that is shown. @returns {Texts} */
export function texts() {
  return TEXTS[language];
}

/** For dates. */
export function locale() {
  return language === 'ko' ? 'ko-KR' : 'en-GB';
}

export function currentLanguage() {
  return language;
}

/** Shows a language: everything in the page that names its text. @param {Language} chosen */
export function showLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  const text = (/** @type {string | undefined} */ key) => String(texts()[/** @type {keyof Texts} */ (key)]);
  for (const element of document.querySelectorAll('[data-text], [data-label], [data-placeholder]')) {
    if (!(element instanceof HTMLElement)) continue;
    const { text: words, label, placeholder } = element.dataset;
    if (words) element.textContent = text(words);
    if (label) element.setAttribute('aria-label', text(label));
    if (placeholder) element.setAttribute('placeholder', text(placeholder));
  }
  for (const element of document.querySelectorAll('[data-action="language"]')) {
    element.setAttribute('lang', chosen === 'ko' ? 'en' : 'ko');
  }
}

/** An error as a person should read it: our own words for our own codes, else the server's. @param {any} error */
export function errorText(error) {
  const own = texts()[/** @type {'no_answer'} */ (error?.code)];
  return typeof own === 'function' ? own() : String(error?.message ?? error);
}
