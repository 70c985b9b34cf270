import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Replaces the keys in a file by those of the other of two users, and then changes the secret of the former, again and again. */
public class Rotate {
    public static void main(String[] arguments) throws Exception {
        String broker = arguments[0];
        Path file = Path.of(arguments[1]);
        int changes = Integer.parseInt(arguments[2]);
        String[] users = {arguments[3], arguments[4]};
        String[] secrets = {arguments[5], arguments[5]};
        DefaultMQAdminExt admin = new DefaultMQAdminExt(new AclClientRPCHook(new SessionCredentials("admin12345", "secret12345")));
        admin.setNamesrvAddr(arguments[6]);
        admin.start();
        for (int change = 1; change <= changes; change++) {
            int next = change % 2;
            int former = 1 - next;
            Path beside = file.resolveSibling(file.getFileName() + ".new");
            Files.writeString(beside, String.format("{\"AccessKeyId\":\"%s\",\"AccessKeySecret\":\"%s\"}", users[next], secrets[next]));
            Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE);
            Thread.sleep(100);
            secrets[former] = "secret-" + change;
            admin.updateUser(broker, users[former], secrets[former], "Normal", "enable");
            // The proxy forgets a user that nobody asks for after a second.
            Thread.sleep(1_500);
        }
        admin.shutdown();
        System.exit(0);
    }
}
