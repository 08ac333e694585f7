import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** Sends a PATCH by Java's default client, which asks to upgrade to HTTP/2. Arguments: URL, token, body. */
class UpgradingClient {
    public static void main(String[] arguments) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .header("Authorization", "Bearer " + arguments[1])
            .header("Content-Type", "application/json")
            .method("PATCH", HttpRequest.BodyPublishers.ofString(arguments[2]))
            .build();
        System.out.print(HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body());
    }
}
