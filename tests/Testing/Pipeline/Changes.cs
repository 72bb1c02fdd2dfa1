using System.Globalization;
using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>Changes of the sample table, by key and commit.</summary>
internal static class Changes
{
    public static RowChange Create(string key, long commit, long ordinal = 1) =>
        Sample.Change(ChangeOperation.Create, key, Sample.Version(commit, ordinal), Sample.Row(key, commit.ToString(CultureInfo.InvariantCulture), null));

    public static RowChange Update(string key, long commit) =>
        Sample.Change(ChangeOperation.Update, key, Sample.Version(commit), Sample.Row(key, "updated", null));

    public static RowChange Delete(string key, long commit) => Sample.Change(ChangeOperation.Delete, key, Sample.Version(commit));

    /// <summary>A row with a large note.</summary>
    public static RowChange Large(string key, long commit, string note) =>
        Sample.Change(ChangeOperation.Create, key, Sample.Version(commit), Sample.Row(key, "new", note));

    /// <summary>An update that leaves the note out.</summary>
    public static RowChange Touched(string key, long commit) =>
        Sample.Change(ChangeOperation.Update, key, Sample.Version(commit), Sample.Row(key, "touched", Sample.Unchanged));

    /// <summary>An update whose image cannot be read.</summary>
    public static RowChange Broken(string key, long commit) =>
        Sample.Change(ChangeOperation.Update, key, Sample.Version(commit), new RowImage([0, 3, (byte)'?']));

    public static string Key(SinkEvent made) => Encoding.UTF8.GetString(made.Key!);

    public static string Key(Delivery delivery) => Key(delivery.Events[0]);
}
