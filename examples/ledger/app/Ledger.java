import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.concurrent.Executors;

/** Books amounts: POST /entries with a whole number, GET /balance answers {"balance": n, "entries": m}. */
public final class Ledger {
    private static final String URL = System.getenv("SPRING_DATASOURCE_URL");
    private static final String USER = System.getenv("SPRING_DATASOURCE_USERNAME");
    private static final String PASSWORD = System.getenv("SPRING_DATASOURCE_PASSWORD");
    private static boolean prepared;

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 2 && arguments[0].equals("--check")) {
            var request = HttpRequest.newBuilder(URI.create(arguments[1])).build();
            var status = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
            System.exit(status == 200 ? 0 : 1);
        }
        var server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/healthz", exchange -> answer(exchange, 200, "{\"status\": \"ok\"}"));
        server.createContext("/entries", Ledger::book);
        server.createContext("/balance", Ledger::balance);
        server.setExecutor(Executors.newFixedThreadPool(8));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(5)));
        server.start();
        System.out.println("ledger listens on 8080");
    }

    private static Connection connect() throws SQLException {
        var connection = DriverManager.getConnection(URL, USER, PASSWORD);
        synchronized (Ledger.class) {
            if (!prepared) {
                try (var statement = connection.createStatement()) {
                    statement.execute("CREATE TABLE IF NOT EXISTS entries (id bigserial PRIMARY KEY, amount bigint NOT NULL)");
                }
                prepared = true;
            }
        }
        return connection;
    }

    private static void book(HttpExchange exchange) throws IOException {
        long amount;
        try {
            amount = Long.parseLong(new String(exchange.getRequestBody().readNBytes(32), StandardCharsets.UTF_8).trim());
        } catch (NumberFormatException error) {
            answer(exchange, 400, "{\"error\": \"the body has to be a whole number\"}");
            return;
        }
        try (var connection = connect(); var statement = connection.prepareStatement("INSERT INTO entries (amount) VALUES (?)")) {
            statement.setLong(1, amount);
            statement.executeUpdate();
            answer(exchange, 201, "{\"booked\": " + amount + "}");
        } catch (SQLException error) {
            System.err.println(error.getMessage());
            answer(exchange, 503, "{\"error\": \"the database is away\"}");
        }
    }

    private static void balance(HttpExchange exchange) throws IOException {
        try (var connection = connect();
                var statement = connection.createStatement();
                var found = statement.executeQuery("SELECT coalesce(sum(amount), 0), count(*) FROM entries")) {
            found.next();
            answer(exchange, 200, "{\"balance\": " + found.getLong(1) + ", \"entries\": " + found.getLong(2) + "}");
        } catch (SQLException error) {
            System.err.println(error.getMessage());
            answer(exchange, 503, "{\"error\": \"the database is away\"}");
        }
    }

    private static void answer(HttpExchange exchange, int status, String body) throws IOException {
        var bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().add("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, bytes.length);
        try (var output = exchange.getResponseBody()) {
            output.write(bytes);
        }
    }
}
