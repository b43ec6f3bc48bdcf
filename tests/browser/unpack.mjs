// Unpacks the Chromium of @sparticuz/chromium into TMPDIR, and prints the path of the program.
import chromium from "@sparticuz/chromium";

console.log(await chromium.executablePath());
