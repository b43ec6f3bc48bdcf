-- security_invoker = on in place of true
ALTER VIEW communication.view_notifications SET (security_invoker = on);
