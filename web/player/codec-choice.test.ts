import { expect, test } from 'vitest';
import { Carriage, chooseCodec, nextWish, whoseChoice, wishOf } from './codec-choice.ts';

test("a person's word goes before what the network carries", () => {
  const [wide, thin] = [
    { thin: false, sockets: true },
    { thin: true, sockets: true },
  ];
  expect(chooseCodec('auto', wide)).toBe('jpeg');
  expect(chooseCodec('auto', thin)).toBe('mpeg1');
  expect(chooseCodec('jpeg', thin)).toBe('jpeg');
  expect(chooseCodec('mpeg1', wide)).toBe('mpeg1');
  expect(whoseChoice('auto', thin)).toBe('chosen by what the network carries');
  expect(whoseChoice('jpeg', thin)).toBe('as asked for');
  expect(wishOf('mpeg1')).toBe('mpeg1');
  expect(wishOf('h265')).toBe('auto');
  expect(wishOf(null)).toBe('auto');
});

test('where no WebSocket gets through there is JPEG alone, and that is said', () => {
  const way = { thin: true, sockets: false };
  expect(chooseCodec('auto', way)).toBe('jpeg');
  expect(chooseCodec('mpeg1', way)).toBe('jpeg');
  expect(whoseChoice('mpeg1', way)).toBe('because no WebSocket gets through');
  expect(whoseChoice('jpeg', way)).toBe('as asked for');
});

test('a click takes the other codec, the next one gives the choice back', () => {
  expect(nextWish('auto', 'jpeg')).toBe('mpeg1');
  expect(nextWish('auto', 'mpeg1')).toBe('jpeg');
  expect(nextWish('mpeg1', 'mpeg1')).toBe('auto');
});

/** Looks four times a second for so many seconds, with so many sent and dropped in each; whether it is thin. */
function watch(carriage: Carriage, seconds: number, sent: number, dropped: number, age: number): boolean {
  for (let look = 0; look <= seconds * 4; look++) {
    const part = look / 4;
    carriage.look(part * 1000, { sent: sent * part, dropped: dropped * part }, age);
  }
  return carriage.thin;
}

test('pictures that come late and are mostly dropped came through something narrow', () => {
  expect(watch(new Carriage(), 10, 3, 12, 900)).toBe(true);
  expect(watch(new Carriage(), 4, 3, 12, 900), 'a pause').toBe(false);
  expect(watch(new Carriage(), 10, 12, 3, 900), 'a camera that is late by itself').toBe(false);
  expect(watch(new Carriage(), 10, 3, 12, 60), 'a rate that was asked for').toBe(false);
});

test('a new subscription counts anew, and what was thin stays so', () => {
  const carriage = new Carriage();
  carriage.look(0, { sent: 100, dropped: 0 }, 900);
  expect(carriage.look(6_000, { sent: 1, dropped: 50 }, 900)).toBe(false);
  expect(carriage.look(12_000, { sent: 2, dropped: 90 }, 900)).toBe(true);
  expect(watch(carriage, 10, 20, 0, 10)).toBe(true);
});
