/** Names a node for people: its ID, with its address where it has one. */
export function nodeName(id: string, url: string | undefined): string {
  return url === undefined ? id : `${id} (${url})`;
}
