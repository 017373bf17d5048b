/** For tests of a run with one group: what a plan says of an agent, with the fields of its only share beside the others. */
import type { AgentShare, MemberShare } from '../../src/machines/store/documents.ts';
import { MAIN } from '../../src/metrics/groups.ts';

export const flat = (entry: MemberShare | undefined): MemberShare & AgentShare => ({
  ...entry!,
  ...entry!.groups[MAIN]!,
});

export const by_group = (clients: number): Record<string, number> => ({ [MAIN]: clients });

export function share_of(fields: AgentShare & Omit<MemberShare, 'groups'>): MemberShare {
  const { share, labelled, ramp, may, ids, ...rest } = fields;
  return { ...rest, groups: { [MAIN]: { share, labelled, ramp, may, ids } } };
}
