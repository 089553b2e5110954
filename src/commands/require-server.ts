import { CONNECTORS } from '../connectors/registry.ts';
import { HoopError } from '../errors.ts';
import { clientConnector } from '../tunnel/connector.ts';
import { plain } from '../ui/text/printable.ts';

/** @throws HoopError HOOP_USAGE the target is something else */
export async function requireServer(target: {
  readonly kind: string;
  readonly name: string;
}): Promise<void> {
  if (target.kind !== 'ssh') {
    const { noun } = await clientConnector(CONNECTORS, target);
    throw new HoopError('HOOP_USAGE', `"${plain(target.name)}" is ${noun}, not a server`, {
      hint: `Connect to it with \`hoop connect ${plain(target.name)}\`.`,
    });
  }
}
