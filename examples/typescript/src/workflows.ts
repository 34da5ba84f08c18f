import { waitForEvent } from './wait';

interface Invoice {
  tenant: string;
  invoice_id: string;
  timeout_seconds: number;
}

interface Outcome {
  status: 'paid' | 'expired';
  event_id: string | null;
}

/** Waits until the invoice is paid. */
export async function AwaitInvoice(invoice: Invoice): Promise<Outcome> {
  const paid = await waitForEvent(
    {
      tenant: invoice.tenant,
      eventName: 'INVOICE_PAID',
      correlationKey: invoice.invoice_id,
      lookbackSeconds: 600,
    },
    invoice.timeout_seconds * 1000,
  );
  return paid === undefined
    ? { status: 'expired', event_id: null }
    : { status: 'paid', event_id: paid.eventId };
}
