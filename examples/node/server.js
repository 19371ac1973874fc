const http = require("http");

const server = http.createServer((request, response) => {
  response.end(request.url === "/health" ? "well\n" : `${process.env.PSERV_INSTANCE} of web\n`);
});
server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
