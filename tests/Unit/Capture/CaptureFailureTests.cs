using CdcOrleans.Capture.Postgres;
using CdcOrleans.Model.Configuration;
using Npgsql;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class CaptureFailureTests
{
    [Theory]
    [InlineData(PostgresErrorCodes.LockNotAvailable, true)]
    [InlineData(PostgresErrorCodes.InsufficientPrivilege, false)]
    public void A_lock_that_others_hold_passes_and_a_missing_privilege_does_not(string state, bool transient)
    {
        var source = new SourceConfiguration { Name = "shop", Connection = "Host=h;Database=d;Username=u", Slot = "s", Publication = "p", Tables = [] };
        var failure = new CaptureFailure(source, new SourceConnection(source)).Of(new PostgresException("no", "ERROR", "ERROR", state), "watching");
        Assert.Equal(transient, failure.Transient);
        Assert.Contains(state, failure.Message, StringComparison.Ordinal);
    }
}
