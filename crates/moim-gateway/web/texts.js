// Every text of the page, in Korean and English, and which of them is shown.
// Not here: what the server says by itself (its errors come in the browser's language).

/** @typedef {'ko' | 'en'} Language */

/** @param {string[]} names */
const joined = (names) => names.join(', ');
const fault = (/** @type {string} */ text) => () => text;

const TEXTS = {
  ko: {
    lead: '이름과 방을 정하면 바로 이야기할 수 있습니다.',
    name: '이름',
    namePlaceholder: '다른 사람에게 보일 이름',
    room: '방',
    enter: '들어가기',
    leave: '나가기',
    retry: '다시 연결',
    otherLanguage: 'English',
    messages: '메시지',
    text: '메시지를 입력하세요',
    send: '보내기',
    older: '이전 메시지 보기',
    olderLoading: '이전 메시지를 불러오는 중…',
    olderFailed: '이전 메시지를 지금 불러올 수 없습니다.',
    beginning: '대화의 시작입니다.',
    connecting: '연결하는 중',
    open: '연결됨',
    waiting: '다시 연결하는 중',
    unreachable: '서버에 닿지 않아 다시 시도하는 중',
    closed: '연결이 끝났습니다',
    idle: '',
    count: (/** @type {number} */ count) => `${count}명`,
    typing: (/** @type {string[]} */ names) =>
      names.length > 2 ? `${names.length}명이 입력 중…` : `${joined(names)} 님이 입력 중…`,
    join: (/** @type {string} */ name, /** @type {number} */ others) =>
      others > 0 ? `${name}님 외 ${others}명이 입장했습니다.` : `${name}님이 입장했습니다.`,
    leaveNotice: (/** @type {string} */ name, /** @type {number} */ others) =>
      others > 0 ? `${name}님 외 ${others}명이 퇴장했습니다.` : `${name}님이 퇴장했습니다.`,
    reset: '서버가 기록 없이 다시 시작되어, 대화가 새로 시작됩니다.',
    gap: '여기 사이에 받지 못한 메시지가 있습니다.',
    gapLoad: '불러오기',
    gapLoading: '불러오는 중…',
    newMessages: (/** @type {number} */ count) => `새 메시지 ${count}개`,
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
  },
  en: {
    lead: 'Choose a name and a room, and start talking.',
    name: 'Name',
    namePlaceholder: 'What others will call you',
    room: 'Room',
    enter: 'Enter',
    leave: 'Leave',
    retry: 'Reconnect',
    otherLanguage: '한국어',
    messages: 'Messages',
    text: 'Write a message',
    send: 'Send',
    older: 'Show earlier messages',
    olderLoading: 'Loading earlier messages…',
    olderFailed: 'Earlier messages cannot be loaded right now.',
    beginning: 'This is the beginning.',
    connecting: 'Connecting',
    open: 'Connected',
    waiting: 'Reconnecting',
    unreachable: 'Server out of reach, trying again',
    closed: 'Disconnected',
    idle: '',
    count: (/** @type {number} */ count) => `${count} here`,
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
    newMessages: (/** @type {number} */ count) => (count === 1 ? '1 new message' : `${count} new messages`),
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
