using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Formats;

/// <summary>Rows as JSON objects, with the values that events of the format <c>debezium</c> carry.</summary>
public sealed class JsonRowFormatter : IRowFormatter
{
    /// <inheritdoc />
    public string ToJson(TableSchema table, RowImage row, ValueOptions values)
    {
        ArgumentNullException.ThrowIfNull(table);
        var encoding = RowEncoding.Of(table, values);
        var buffer = JsonBuffer.Take();
        encoding.WriteRow(buffer, row);
        return Encoding.UTF8.GetString(buffer.Written);
    }
}
