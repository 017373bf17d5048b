import { describe, expect, it } from 'vitest';
import { Outbox } from '../../../src/swarm/plan/outbox.ts';

/** An outbox over a channel that says when a document left. */
function slow<T>(fold?: (older: T, newer: T) => T): { box: Outbox<T>; sent: T[]; leave: () => void } {
  const sent: T[] = [];
  let leave = (): void => {};
  const send = (document: T, done: () => void): void => {
    sent.push(document);
    leave = done;
  };
  return { box: new Outbox<T>(send, fold), sent, leave: () => leave() };
}

describe('Outbox', () => {
  it('sends at once when nothing is on its way', () => {
    const { box, sent, leave } = slow<number>();
    expect(box.is_empty).toBe(true);
    box.put(1);
    expect([sent, box.is_empty]).toEqual([[1], false]);
    leave();
    expect(box.is_empty).toBe(true);
    box.put(2);
    expect(sent).toEqual([1, 2]);
  });

  it('holds one document behind the one that is sent: the newest', () => {
    const { box, sent, leave } = slow<number>();
    for (let i = 1; i <= 1000; i++) box.put(i);
    expect(sent).toEqual([1]);
    leave();
    expect([sent, box.is_empty]).toEqual([[1, 1000], false]);
    leave();
    expect([sent, box.is_empty]).toEqual([[1, 1000], true]);
  });

  it('folds what waits, oldest first', () => {
    const { box, sent, leave } = slow<string>((older, newer) => older + newer);
    for (const letter of 'abcd') box.put(letter);
    leave();
    leave();
    expect(sent).toEqual(['a', 'bcd']);
  });

  it('takes a document that is put while another is sent, also by a channel that is done at once', () => {
    const sent: number[] = [];
    const box: Outbox<number> = new Outbox((document, done) => {
      sent.push(document);
      if (document < 3) box.put(document + 1);
      done();
    });
    box.put(1);
    expect([sent, box.is_empty]).toEqual([[1, 2, 3], true]);
  });
});
