/** Coordinator and the one member in the same process: documents are delivered a turn later, as if they had come from afar. */
import type { Hub, MemberId, Plan, Report, Seat } from '../swarm/plan.ts';
import { fold_reports, Outbox } from './outbox.ts';

export function local_pair(member: MemberId): { hub: Hub; seat: Seat } {
  let is_cut = false;
  let take_plan: (plan: Plan) => void = () => {};
  let take_report: (member: MemberId, report: Report) => void = () => {};
  const later = (deliver: () => void, sent: () => void): void => {
    setImmediate(() => {
      if (!is_cut) deliver();
      sent();
    });
  };
  const plans = new Outbox<Plan>((plan, sent) => later(() => take_plan(plan), sent));
  const reports = new Outbox<Report>((report, sent) => later(() => take_report(member, report), sent), fold_reports);
  return {
    hub: {
      want: () => {},
      publish: (plan) => plans.put(plan),
      onReport: (f) => (take_report = f),
      // a member that dies here takes the coordinator with it
      onGone: () => {},
      close: () => {
        is_cut = true;
        return Promise.resolve([]);
      },
    },
    seat: {
      onPlan: (f) => (take_plan = f),
      report: (report) => reports.put(report),
      // the coordinator takes this member with it, or ends it as it ends
      onCut: () => {},
      close: () => {
        is_cut = true;
        return Promise.resolve();
      },
    },
  };
}
