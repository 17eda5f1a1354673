// Ends with 0 when the URL in the first argument answers with success. The image has no curl, and to load what fetch() needs would take
// twice as long as the whole check.
import { get } from "node:http";

const request = get(process.argv[2], (answer) => process.exit(answer.statusCode >= 200 && answer.statusCode < 300 ? 0 : 1));
request.setTimeout(2500, () => process.exit(1));
request.on("error", () => process.exit(1));
