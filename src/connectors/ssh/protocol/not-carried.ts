/** What SSH has and hoop does not carry: refused by the CLI, which tells the gateway for the record. */

/** For people: what it is, and why it is refused. */
export const NOT_CARRIED = {
  'remote-forward': {
    name: 'remote forwarding (-R)',
    why: 'remote forwarding (-R) is refused: nothing on the server may connect back to you',
  },
  agent: {
    name: 'agent forwarding (-A)',
    why: 'agent forwarding (-A) is refused: others on the server could use your keys',
  },
  x11: {
    name: 'X11 forwarding (-X)',
    why: 'X11 forwarding (-X) is refused: the server could read your screen and keyboard',
  },
  streamlocal: {
    name: 'forwarding to a Unix socket',
    why: 'forwarding to Unix sockets of the server is refused: hoop can decide only on host:port',
  },
  tunnel: { name: 'tunnel device (-w)', why: 'tunnel devices (-w) are refused' },
} as const;

export type NotCarried = keyof typeof NOT_CARRIED;
