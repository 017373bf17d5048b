/**
 * The client's end of a session as lines and text: telnet, and on it plain lines or the editor, as the client agreed
 * to.
 */
import { Editor } from './editor.ts';
import { LINE_LIMIT, LineAssembler } from './lines.ts';
import { ECHO, GREETING, INTERRUPT, TelnetDecoder, type TelnetEvent } from './telnet.ts';

interface TerminalEvents {
  line(text: string): void;
  /** sends `data` to the client unchanged */
  output(data: string | Buffer): void;
  /** the editor takes over: it has no prompt yet */
  editing(): void;
  /** Ctrl-C */
  interrupt(): void;
  /** Ctrl-D, or the client broke the rules (`bad` says how): no event follows */
  end(bad: string | null): void;
}

export class Terminal {
  readonly #events: TerminalEvents;
  readonly #telnet = new TelnetDecoder();
  readonly #lines = new LineAssembler();
  #editor: Editor | null = null;
  #columns = 0;
  #echo = false;
  #may_edit: boolean;
  #ended = false;

  /** `may_edit` false: no echo and no editor before {@link allow_editing}. */
  constructor(may_edit: boolean, events: TerminalEvents) {
    this.#events = events;
    this.#may_edit = may_edit;
  }

  /** Offers telnet's editor. */
  greet(): void {
    this.#events.output(GREETING);
    // overwrites what a client without telnet shows of the greeting
    this.#events.output('\r');
  }

  receive(chunk: Buffer): void {
    const { events, reply } = this.#telnet.receive(chunk);
    if (reply.length > 0) this.#events.output(reply);
    for (const event of events) if (!this.#ended) this.#on_event(event);
  }

  /** Whether the client agreed to be echoed: it is a telnet, though it may have no editor yet. */
  get is_telnet(): boolean {
    return this.#echo;
  }

  /** Whether the client agreed to the editor: a person is at a terminal, or was. */
  get is_editing(): boolean {
    return this.#editor !== null;
  }

  /** The rest of a line, when the client sends no more. */
  rest(): string {
    return this.#ended || this.#editor ? '' : this.#lines.rest();
  }

  allow_editing(): void {
    this.#may_edit = true;
    this.#choose();
  }

  /** Everything is answered: shows the prompt, if there is an editor. */
  prompt(): void {
    if (!this.#ended) this.#editor?.prompt();
  }

  /** Whole lines in one write: nothing comes between the lines of an answer. */
  print(text: string): void {
    if (this.#editor && !this.#ended) this.#editor.print(text);
    else this.#events.output(text);
  }

  /** Leaves the cursor at the start of a line. No event follows. */
  close(): void {
    this.#ended = true;
    this.#editor?.close();
  }

  #on_event(event: TelnetEvent): void {
    switch (event.type) {
      case 'data':
        if (this.#editor) this.#editor.push(event.bytes);
        else this.#plain(event.bytes);
        break;
      case 'option':
        if (event.option === ECHO) this.#echo = event.on;
        this.#choose();
        break;
      case 'window':
        this.#columns = event.columns;
        this.#editor?.resize(event.columns);
        break;
      case 'command':
        if (event.command === INTERRUPT) this.#editor?.interrupt();
        break;
      case 'bad':
        this.#end(event.reason);
    }
  }

  #plain(bytes: Buffer): void {
    for (const event of this.#lines.push(bytes)) {
      if (this.#ended) return;
      if (event.type === 'bad') this.#end(event.reason);
      else this.#events.line(event.text);
    }
  }

  #choose(): void {
    const wanted = this.#echo && this.#may_edit;
    if (wanted && !this.#editor) {
      this.#editor = new Editor(this.#columns, {
        line: (text) => {
          if (!this.#ended) this.#events.line(text);
        },
        output: (text) => this.#events.output(text),
        interrupt: () => this.#events.interrupt(),
        end: () => this.#end(null),
        too_long: () => this.#end(`a line of more than ${LINE_LIMIT} bytes`),
      });
      this.#editor.push(Buffer.from(this.#lines.rest()));
      this.#events.editing();
    } else if (!wanted && this.#editor) {
      this.#editor.close();
      this.#editor = null;
    }
  }

  #end(bad: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.end(bad);
  }
}
