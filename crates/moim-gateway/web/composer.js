// The box where messages are written: keys, growing, Korean input.
// Not here: sending (`page.js`).

const HEIGHT_MAX_PX = 160;
/** A text that is longer is higher than the box can grow, and measuring a megabyte takes seconds. */
const MEASURED_LETTERS_MAX = 10_000;
/** A longer text is put in by us: Chromium's own way takes minutes for a hundred thousand lines. */
const PASTED_LETTERS_MAX = 10_000;

export class Composer {
  #form;
  #text;

  /**
   * @param {HTMLFormElement} form
   * @param {HTMLTextAreaElement} text
   * @param {{ send: (content: string) => void, typing: (isTyping: boolean) => void, page: (screens: number) => void }} actions
   */
  constructor(form, text, actions) {
    this.#form = form;
    this.#text = text;
    text.addEventListener('input', () => {
      this.#grow();
      actions.typing(text.value.trim() !== '');
    });
    text.addEventListener('keydown', (event) => {
      // One can read back without leaving the box; a long text of one's own keeps these keys.
      const page = { PageUp: -1, PageDown: 1 }[event.key];
      if (page !== undefined && text.scrollHeight <= HEIGHT_MAX_PX) {
        event.preventDefault();
        actions.page(page);
      }
      // While a syllable is being composed Enter only ends it; Safari says so by the key code alone.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    text.addEventListener('paste', (event) => {
      const pasted = event.clipboardData?.getData('text/plain') ?? '';
      if (pasted.length <= PASTED_LETTERS_MAX) return;
      event.preventDefault();
      text.setRangeText(pasted, text.selectionStart, text.selectionEnd, 'end');
      text.dispatchEvent(new Event('input'));
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const content = text.value.trim();
      if (content !== '') {
        this.put('');
        actions.typing(false);
        actions.send(content);
      }
      text.focus();
    });
  }

  get isEmpty() {
    return this.#text.value === '';
  }

  focus() {
    this.#text.focus();
  }

  /** @param {string} content */
  put(content) {
    this.#text.value = content;
    this.#grow();
  }

  #grow() {
    if (this.#text.value.length > MEASURED_LETTERS_MAX) {
      this.#text.style.height = `${HEIGHT_MAX_PX}px`;
      return;
    }
    this.#text.style.height = 'auto';
    const border = this.#text.offsetHeight - this.#text.clientHeight;
    this.#text.style.height = `${Math.min(this.#text.scrollHeight + border, HEIGHT_MAX_PX)}px`;
  }
}
