// A link whose rate can be limited: a network namespace with a hub and its cameras, and a pair of virtual interfaces.
import { execFileSync } from 'node:child_process';
import type { Place } from './hub.ts';

/** Bytes that wait in front of the link: most of a second at 300 kbit/s, as in a router. */
const QUEUE = 30_000;

export interface ShapedLink extends Place {
  /** Limits what the hub sends, in kbit/s; undefined for no limit. */
  setRate(kilobits: number | undefined): void;
  stop(): void;
}

const run = (command: string): void => {
  const [program = '', ...options] = command.split(' ');
  execFileSync(program, options, { stdio: ['ignore', 'ignore', 'pipe'] });
};

/** Creates the link. Needs root. */
export function createLink(): ShapedLink {
  const name = `ocelli${process.pid}`;
  const inside = `ip netns exec ${name}`;
  const [near, far] = [`oc${process.pid}a`, `oc${process.pid}b`];
  // A network of its own for each process that runs tests.
  const network = `10.79.${process.pid % 250}`;
  const stop = (): void => run(`ip netns del ${name}`);
  run(`ip netns add ${name}`);
  try {
    run(`ip link add ${near} type veth peer name ${far}`);
    run(`ip link set ${far} netns ${name}`);
    run(`ip addr add ${network}.1/24 dev ${near}`);
    run(`ip link set ${near} up`);
    run(`${inside} ip addr add ${network}.2/24 dev ${far}`);
    run(`${inside} ip link set ${far} up`);
    run(`${inside} ip link set lo up`);
  } catch (error) {
    stop();
    throw error;
  }
  let isLimited = false;
  return {
    address: `${network}.2`,
    command: inside.split(' '),
    setRate(kilobits) {
      if (isLimited) run(`${inside} tc qdisc del dev ${far} root`);
      isLimited = kilobits !== undefined;
      if (isLimited)
        run(`${inside} tc qdisc add dev ${far} root tbf rate ${kilobits}kbit burst 5000 limit ${QUEUE}`);
    },
    stop,
  };
}
